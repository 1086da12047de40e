"""The snapshot: what a router needs, with a long poll."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from learnops.ports.access import Verb
from learnops.server.documents import problems
from learnops.server.models import SnapshotAnswer
from learnops.server.routers import DoerName, May, Namespace, Use

router = APIRouter(prefix="/v1", tags=["snapshot"])

TTL_HEADER = "X-Learnops-TTL-Seconds"


@router.get(
    "/snapshot",
    summary="Shares, policies and time to live of a doer",
    responses={
        200: {"model": SnapshotAnswer},
        304: {"description": "nothing newer; the header carries the time to live"},
        **problems(404, 422, 503),
    },
)
async def snapshot(
    namespace: Namespace,
    doer: DoerName,
    use: Use,
    may: May,
    wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=60)] = 0.0,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """With `If-None-Match` it waits up to `waitSeconds` for another version."""
    await may.require(Verb.ROUTE, namespace=namespace, doer=doer)
    use.require_state()
    known = None if if_none_match is None else _etag(if_none_match)
    view = await use.snapshots.get(
        namespace=namespace,
        doer=doer,
        known=known,
        wait_seconds=wait_seconds,
    )
    ttl = "null" if view.ttl_seconds is None else f"{view.ttl_seconds:.3f}"
    headers = {"ETag": f'"{view.etag}"', "Cache-Control": "no-store"}
    if view.current:
        headers[TTL_HEADER] = ttl
    if view.body is None:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return JSONResponse(view.body, headers=headers)


def _etag(header: str) -> str:
    return header.strip().removeprefix("W/").strip('"')
