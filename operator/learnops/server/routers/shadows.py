"""The shadow stage: pairs of a run of control and the candidate's on the same input."""

from fastapi import APIRouter, Request, Response

from learnops.ports.access import Verb
from learnops.server.batch import answer_of, items_of
from learnops.server.documents import problems
from learnops.server.media import BodyRoute
from learnops.server.models import BatchAnswer, PairsAnswer, PairsRequest
from learnops.server.routers import May, Use
from learnops.server.routers.runs import BATCH_DOC

router = APIRouter(prefix="/v1", tags=["shadow"], route_class=BodyRoute)


@router.post(
    "/shadows",
    summary="Open the pairs of runs before their candidate runs",
    responses=problems(400, 404, 413, 422, 429, 503),
)
async def open_pairs(body: PairsRequest, use: Use, may: May) -> PairsAnswer:
    """Stored when this answers; from then on a candidate that tells nothing counts loss 1."""
    await may.require(Verb.ROUTE, namespace=body.namespace, doer=body.doer)
    use.require_database()
    use.require_state()
    opened = await use.pairing.open(
        namespace=body.namespace, doer=body.doer, rollout=body.rollout, run_ids=body.run_ids
    )
    return PairsAnswer(opened=opened)


@router.post(
    "/shadows:report",
    summary="Report what candidates in shadow came to",
    openapi_extra=dict(BATCH_DOC),
    responses={200: {"model": BatchAnswer}, **problems(400, 413, 422, 429, 503)},
)
async def report(request: Request, use: Use, may: May) -> Response:
    """As runs:batch; `runId` is that of control's run, and nothing here is traffic."""
    permits = may.permits(Verb.INGEST)
    use.require_database()
    items = await items_of(await request.body(), kind=request.headers.get("content-type", ""))
    with use.admission.runs(len(items)):
        turns = use.beside.of(may.whose)
        told = await answer_of(items, ingest=use.pairing, permits=permits, turns=turns)
    return Response(told, media_type="application/json")
