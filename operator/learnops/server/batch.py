"""A batch of bundles: each judged alone, all written together."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from learnops.domain.bundle_limits import BODY_BYTES
from learnops.server.ingest import Outcome
from learnops.server.models import MAX_BATCH, Bundle
from learnops.server.permits import Permits
from learnops.server.problems import Problem, from_validation

# Read, validated and answered in slices, so that other requests are answered in between.
_SLICE: Final = 250
_STATUS: Final = {HTTPStatus.CONFLICT: "conflict", HTTPStatus.FORBIDDEN: "forbidden"}
_MOST_LINES: Final = 2 * MAX_BATCH
# Objects and arrays. One takes 70 bytes of memory and more, and 3 of a body: 5 million of them fit
# into 16 MiB. So many for each of 10,000 bundles, with one field each, were measured as 73 MiB.
_MOST_CONTAINERS: Final = 64 * MAX_BATCH


class Takes(Protocol):
    """What bundles are handed to."""

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[Outcome]:
        """One outcome per bundle, in order."""


def items_of(body: bytes, *, kind: str) -> list[Any]:
    """The items of a batch; a line of NDJSON is not parsed yet. Raises Problem (400, 413, 422).

    Args:
        body: `{"runs": [...]}`, the array alone, or NDJSON.
        kind: its media type.
    """
    _refuse_crowded(body)
    if kind.partition(";")[0].strip() == "application/x-ndjson":
        # Counted first: a body of line ends alone would make millions of lines.
        if body.count(b"\n") > _MOST_LINES:
            raise _too_many(f"over {_MOST_LINES} lines")
        items: Any = [line for line in body.split(b"\n") if line.strip()]
    else:
        parsed = _parse(body)
        items = parsed.get("runs") if isinstance(parsed, dict) else parsed
    if not isinstance(items, list):
        detail = 'runs: is missing; send {"runs": [bundle, ...]}'
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")
    if len(items) > MAX_BATCH:
        raise _too_many(f"{len(items)} items")
    return items


async def answer_of(items: Sequence[Any], *, ingest: Takes, permits: Permits) -> bytes:
    """`{"results": [...]}` as JSON, one result per item, in order.

    Raises DatabaseUnavailableError and Problem (429, 503, 422 for too many rights to ask for): then
    some may be stored, and sending all again is safe. Raises Forbidden: nothing was stored.
    """
    parts = []
    for start in range(0, len(items), _SLICE):
        outcomes = await _slice(items[start : start + _SLICE], ingest=ingest, permits=permits)
        parts.append(b",".join(outcomes))
        await asyncio.sleep(0)
    permits.conclude()
    return b'{"results":[' + b",".join(parts) + b"]}"


async def _slice(items: Sequence[Any], *, ingest: Takes, permits: Permits) -> Iterator[bytes]:
    given = [_line(item) if isinstance(item, bytes) else item for item in items]
    # A line was measured as it came.
    checked = [
        _check(item) if isinstance(raw, bytes) else _check_size(item)
        for raw, item in zip(items, given, strict=True)
    ]
    await permits.settle([item for item in checked if isinstance(item, Bundle)])
    checked = [
        (permits.problem(item) or item) if isinstance(item, Bundle) else item for item in checked
    ]
    bundles = [item for item in checked if isinstance(item, Bundle)]
    outcomes = iter(await ingest.take(bundles))
    return (
        _result(item, outcome=next(outcomes) if isinstance(found, Bundle) else found)
        for item, found in zip(given, checked, strict=True)
    )


def _check_size(item: Any) -> Bundle | Problem:
    try:
        size = len(to_json(item))
    except ValueError:
        size = 0  # a lone surrogate, or too deep: no bundle, as the next look finds
    return _too_long() if size > BODY_BYTES else _check(item)


def _check(item: Any) -> Bundle | Problem:
    if isinstance(item, Problem):
        return item
    try:
        return Bundle.model_validate(item)
    except ValidationError as error:
        return from_validation(error.errors(include_url=False))


def _result(given: Any, *, outcome: Outcome) -> bytes:
    if not isinstance(outcome, Problem):
        return outcome.model_dump_json(by_alias=True).encode()
    run_id = given.get("runId") if isinstance(given, dict) else None
    told = {
        "runId": run_id if isinstance(run_id, str) and _is_text(run_id) else None,
        "status": _STATUS.get(outcome.status, "invalid"),
        "problem": outcome.body(),
    }
    # Escaped: what is wrong may be told with text that is not valid Unicode.
    return json.dumps(told).encode()


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= part <= "\udfff" for part in value)


def _line(line: bytes) -> Any:
    if len(line) > BODY_BYTES:
        return _too_long()
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


def _refuse_crowded(body: bytes) -> None:
    """Raises Problem 413. Counted, not parsed, so those in text count too."""
    if body.count(b"{") + body.count(b"[") > _MOST_CONTAINERS:
        detail = f"runs: have over {_MOST_CONTAINERS} of {{ and [ in all; send less at once"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, field="runs")


def _too_long() -> Problem:
    detail = f"the bundle is over {BODY_BYTES} bytes; send less in it"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _too_many(what: str) -> Problem:
    detail = f"runs: has {what}; send at most {MAX_BATCH} at once"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")
