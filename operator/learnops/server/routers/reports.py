"""Reports on policies and canaries, as last seen on the API server."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response

from learnops.api.canary import CanaryDeployment
from learnops.api.common import Name
from learnops.api.policy import Policy
from learnops.app.reports import canary_report
from learnops.domain.attempt import salt_of
from learnops.ports.access import Verb
from learnops.server.documents import problems
from learnops.server.etags import revalidated
from learnops.server.problems import not_found
from learnops.server.report_models import CanaryReport, PolicyReport
from learnops.server.routers import May, Namespace, Use
from learnops.server.services import Services
from learnops.server.snapshot import content
from learnops.server.state import Objects

router = APIRouter(prefix="/v1", tags=["reports"])
ObjectName = Annotated[Name, Path()]


@router.get(
    "/policies/{name}",
    summary="A policy's content, stage and lineage",
    responses={
        200: {"model": PolicyReport},
        304: {"description": "it is still as `If-None-Match` names it"},
        **problems(404, 422, 503),
    },
)
async def policy(
    name: ObjectName,
    namespace: Namespace,
    use: Use,
    may: May,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """For an agent behind no SDK, which asks again with the ETag it has. 404: no such policy.

    Who may route may read what runs are routed to.
    """
    owner = _owner(use, use.state.policies, (namespace, name))
    await may.require_of(Verb.READ, Verb.ROUTE, namespace=namespace, owner=owner)
    use.require_state()
    found = use.state.policies.get((namespace, name))
    if found is None:
        raise not_found(f"no Policy {name!r} in namespace {namespace!r}")
    return revalidated(_policy(found), if_none_match=if_none_match)


def _policy(found: Policy) -> dict[str, Any]:
    return content(found) | {
        "namespace": found.metadata.namespace,
        "name": found.metadata.name,
        "doer": found.spec.doer_ref.name,
        "parent": None if found.spec.parent_ref is None else found.spec.parent_ref.name,
        "lineage": list(found.status.lineage),
        "stage": None if found.status.stage is None else found.status.stage.value,
    }


@router.get(
    "/canaries/{name}",
    summary="What is known of a canary, and what it waits for",
    response_model=None,
    responses={200: {"model": CanaryReport}, **problems(404, 422, 503)},
)
async def canary(name: ObjectName, namespace: Namespace, use: Use, may: May) -> dict[str, Any]:
    """E-values beside the thresholds at which they decide; losses are for reading, not deciding."""
    owner = _owner(use, use.state.canaries, (namespace, name))
    await may.require_of(Verb.READ, namespace=namespace, owner=owner)
    use.require_state()
    found = use.state.canaries.get((namespace, name))
    if found is None:
        raise not_found(f"no CanaryDeployment {name!r} in namespace {namespace!r}")
    report = canary_report(found)
    if report["shadow"] is not None:
        means = await use.pairing.term_means(salt_of(found, found.status))
        report["shadow"]["terms"] = None if means is None else [asdict(it) for it in means]
    return report


def _owner(
    use: Services, objects: Objects[Policy] | Objects[CanaryDeployment], name: tuple[str, str]
) -> Callable[[], Awaitable[str | None]]:
    """Finds the doer of an object, None where there is no such object."""

    async def owner() -> str | None:
        use.require_state()
        found = objects.get(name)
        return None if found is None else found.spec.doer_ref.name

    return owner
