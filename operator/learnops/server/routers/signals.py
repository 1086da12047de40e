"""Signals that come after a run: for reward and datasets, never evidence."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from learnops.ports.access import Verb
from learnops.server.documents import problems
from learnops.server.media import BodyRoute
from learnops.server.models import RunId
from learnops.server.routers import May, Use
from learnops.server.signal_models import SignalsAnswer, SignalsRequest
from learnops.server.signals import RunRef

router = APIRouter(prefix="/v1", tags=["runs"], route_class=BodyRoute)


@router.post(
    "/runs/{run_id:path}/signals",
    summary="Append what was found out about a run's work",
    status_code=HTTPStatus.CREATED,
    response_model=SignalsAnswer,
    responses={
        200: {"model": SignalsAnswer, "description": "all were sent before, with this content"},
        **problems(400, 404, 409, 413, 422, 429, 503),
    },
)
async def append(
    run_id: Annotated[RunId, Path()],
    body: SignalsRequest,
    use: Use,
    may: May,
    response: Response,
) -> SignalsAnswer:
    """Stored together when this answers. They may come before the bundle of a registered run."""
    await may.require(Verb.INGEST, namespace=body.namespace, doer=body.doer)
    use.require_database()
    use.require_state()
    run = RunRef(namespace=body.namespace, run_id=run_id, doer=body.doer)
    answer = await use.signals.take(run, body.signals)
    if all(result.status == "duplicate" for result in answer.results):
        response.status_code = HTTPStatus.OK
    return answer
