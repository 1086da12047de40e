"""Runs: what agents report."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import from_json

from learnops.ports.access import Verb
from learnops.server.batch import results_of
from learnops.server.documents import problems
from learnops.server.models import MAX_BATCH, BatchAnswer, Bundle, RunAnswer
from learnops.server.problems import Problem, not_found
from learnops.server.routers import May, Namespace, Use

router = APIRouter(prefix="/v1", tags=["runs"])

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
    responses={
        200: {"model": RunAnswer, "description": "reported before, with this content"},
        **problems(400, 409, 413, 422, 429, 503),
    },
)
async def report(body: Bundle, use: Use, may: May, response: Response) -> RunAnswer:
    """Stored when this answers; a repetition is told what the first was told."""
    await may.require(Verb.INGEST, namespace=body.namespace, doer=body.doer)
    use.require_database()
    use.require_state()
    (outcome,) = await use.ingest.take([body])
    if isinstance(outcome, Problem):
        raise outcome
    if outcome.status == "duplicate":
        response.status_code = HTTPStatus.OK
    return outcome


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
    items = items_of(await request.body(), kind=request.headers.get("content-type", ""))
    if len(items) > MAX_BATCH:
        detail = f"runs: has {len(items)} items; send at most {MAX_BATCH} at once"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")
    return JSONResponse({"results": await results_of(items, ingest=use.ingest, permits=permits)})


@router.get(
    "/runs/{run_id:path}",
    summary="A run with its loss, terms and weights, its signals and its reward",
    responses=problems(404, 422, 503),
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


def items_of(body: bytes, *, kind: str) -> list[Any]:
    """The items of a batch, as sent; one that is not JSON is its Problem. Raises Problem."""
    if kind.partition(";")[0].strip() == "application/x-ndjson":
        return [_line(line) for line in body.split(b"\n") if line.strip()]
    parsed = _parse(body)
    items = parsed.get("runs") if isinstance(parsed, dict) else parsed
    if not isinstance(items, list):
        detail = 'runs: is missing; send {"runs": [bundle, ...]}'
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")
    return items


def _line(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError as error:
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the line is not JSON: {error}")


def _parse(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        pass
    try:
        # Lenient about lone surrogates: the item that has one is refused, not its neighbours.
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
