"""Runs: what agents report."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from learnops.ports.access import Verb
from learnops.server.batch import answer_of, items_of
from learnops.server.beside import LARGE_BYTES
from learnops.server.documents import problems
from learnops.server.media import BodyRoute
from learnops.server.models import MAX_BATCH, BatchAnswer, RunAnswer
from learnops.server.problems import Problem, not_found
from learnops.server.reading import BUNDLE_DOC, read_bundle
from learnops.server.report_models import RunReport
from learnops.server.routers import May, Namespace, Use

router = APIRouter(prefix="/v1", tags=["runs"], route_class=BodyRoute)

BATCH_DOC: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["runs"],
                    "properties": {
                        "runs": {
                            "type": "array",
                            "maxItems": MAX_BATCH,
                            "items": {"$ref": "#/components/schemas/Bundle"},
                        }
                    },
                }
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "/runs",
    summary="Report one run",
    status_code=HTTPStatus.CREATED,
    response_model=RunAnswer,
    openapi_extra=dict(BUNDLE_DOC),
    responses={
        200: {"model": RunAnswer, "description": "reported before, with this content"},
        **problems(400, 409, 413, 422, 429, 503),
    },
)
async def report(request: Request, use: Use, may: May) -> Response:
    """Stored when this answers; a repetition is told what the first was told."""
    body, turns = await request.body(), use.beside.of(may.whose)
    with turns.entered(large=len(body) > LARGE_BYTES):
        bundle = await read_bundle(body, turns=turns)
        await may.require(Verb.INGEST, namespace=bundle.namespace, doer=bundle.doer)
        use.require_database()
        use.require_state()
        with use.admission.runs(1):
            (answer,) = await use.ingest.take([bundle])
    if isinstance(answer, Problem):
        raise answer
    status = HTTPStatus.OK if answer.status == "duplicate" else HTTPStatus.CREATED
    told = answer.model_dump_json(by_alias=True)
    return Response(told, status_code=status, media_type="application/json")


@router.post(
    "/runs:batch",
    summary="Report many runs",
    openapi_extra=dict(BATCH_DOC),
    responses={200: {"model": BatchAnswer}, **problems(400, 413, 422, 429, 503)},
)
async def report_batch(request: Request, use: Use, may: May) -> Response:
    """One result per item, in order; a bad one does not harm its neighbours."""
    permits = may.permits(Verb.INGEST)
    use.require_database()
    use.require_state()
    items = await items_of(await request.body(), kind=request.headers.get("content-type", ""))
    with use.admission.runs(len(items)):
        turns = use.beside.of(may.whose)
        told = await answer_of(items, ingest=use.ingest, permits=permits, turns=turns)
    return Response(told, media_type="application/json")


@router.get(
    "/runs/{run_id:path}",
    summary="A run with its loss, terms and weights, its signals and its reward",
    response_model=None,
    responses={200: {"model": RunReport}, **problems(404, 422, 503)},
)
async def get_run(run_id: str, namespace: Namespace, use: Use, may: May) -> dict[str, Any]:
    """As stored; 404 for a run that was never reported."""

    async def find() -> dict[str, Any] | None:
        use.require_database()
        return None if "\x00" in run_id else await use.ingest.find(namespace, run_id)

    async def owner() -> str | None:
        run = await find()
        return None if run is None else str(run["doer"])

    await may.require_of(Verb.READ, namespace=namespace, owner=owner)
    found = await find()
    if found is None:
        raise not_found(f"no run {run_id[:200]!r} in namespace {namespace!r}")
    return found | await use.signals.of_run(namespace, run_id)
