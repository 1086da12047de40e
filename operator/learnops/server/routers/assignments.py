"""Assignments: the draw, registered before the agent starts."""

from typing import Any

from fastapi import APIRouter

from learnops.ports.access import Verb
from learnops.server.documents import problems
from learnops.server.media import BodyRoute
from learnops.server.models import (
    AssignmentsAnswer,
    AssignmentsRequest,
    RouteAnswer,
    RunToAssign,
    VoidRequest,
)
from learnops.server.report_models import VoidAnswer
from learnops.server.routers import DoerName, May, Namespace, RunIdQuery, UnitIdQuery, Use
from learnops.server.snapshot import content

router = APIRouter(prefix="/v1", tags=["assignments"], route_class=BodyRoute)


@router.post(
    "/assignments",
    summary="Draw and register runs before they start",
    responses=problems(400, 404, 413, 422, 429, 503),
)
async def assign(body: AssignmentsRequest, use: Use, may: May) -> AssignmentsAnswer:
    """While a canary is live the registration is stored before this answers."""
    await may.require(Verb.ROUTE, namespace=body.namespace, doer=body.doer)
    use.require_state()
    revision, assignments = await use.assigner.assign(
        namespace=body.namespace, doer=body.doer, runs=body.runs
    )
    return AssignmentsAnswer(revision=revision, assignments=assignments)


@router.post(
    "/assignments:void",
    summary="Void registrations that came too late",
    responses=problems(400, 413, 422, 429, 503),
)
async def void(body: VoidRequest, use: Use, may: May) -> VoidAnswer:
    """The agent ran control; a run that is resolved already is not voided."""
    await may.require(Verb.ROUTE, namespace=body.namespace, doer=body.doer)
    use.require_database()
    voided = await use.assigner.void(namespace=body.namespace, doer=body.doer, run_ids=body.run_ids)
    return VoidAnswer(voided=voided)


@router.get(
    "/route",
    summary="The assignment of one run, with its policy's content",
    response_model=RouteAnswer,
    responses=problems(404, 422, 429, 503),
)
async def route(
    namespace: Namespace,
    doer: DoerName,
    run_id: RunIdQuery,
    use: Use,
    may: May,
    unit_id: UnitIdQuery = None,
) -> dict[str, Any]:
    """The same draw and registration as `POST /v1/assignments`."""
    await may.require(Verb.ROUTE, namespace=namespace, doer=doer)
    use.require_state()
    _revision, (assignment,) = await use.assigner.assign(
        namespace=namespace, doer=doer, runs=[RunToAssign(run_id=run_id, unit_id=unit_id)]
    )
    policy = use.state.policy((namespace, assignment.policy))
    told = assignment.model_dump(mode="json", by_alias=True)
    return told | {"content": None if policy is None else content(policy)}
