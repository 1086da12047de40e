"""A batch of bundles: each judged alone, all written together."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Protocol

from pydantic import ValidationError

from learnops.server.ingest import Outcome
from learnops.server.models import Bundle
from learnops.server.permits import Permits
from learnops.server.problems import Problem, from_validation

# Validated in slices, so that other requests are answered in between.
_SLICE = 250
_STATUS = {HTTPStatus.CONFLICT: "conflict", HTTPStatus.FORBIDDEN: "forbidden"}


class Takes(Protocol):
    """What bundles are handed to."""

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[Outcome]:
        """One outcome per bundle, in order."""


async def results_of(
    items: Sequence[Any], *, ingest: Takes, permits: Permits
) -> list[dict[str, Any]]:
    """One result per item, in order.

    Raises DatabaseUnavailableError and Problem (429, 503, 422 for too many rights to ask for): then
    some may be stored, and sending all again is safe. Raises Forbidden: nothing was stored.
    """
    results: list[dict[str, Any]] = []
    for start in range(0, len(items), _SLICE):
        results += await _slice(items[start : start + _SLICE], ingest=ingest, permits=permits)
        await asyncio.sleep(0)
    permits.conclude()
    return results


async def _slice(items: Sequence[Any], *, ingest: Takes, permits: Permits) -> list[dict[str, Any]]:
    checked = [_check(item) for item in items]
    await permits.settle([item for item in checked if isinstance(item, Bundle)])
    checked = [
        (permits.problem(item) or item) if isinstance(item, Bundle) else item for item in checked
    ]
    bundles = [item for item in checked if isinstance(item, Bundle)]
    outcomes = iter(await ingest.take(bundles))
    return [
        _result(given, outcome=next(outcomes) if isinstance(item, Bundle) else item)
        for given, item in zip(items, checked, strict=True)
    ]


def _check(item: Any) -> Bundle | Problem:
    if isinstance(item, Problem):
        return item
    try:
        return Bundle.model_validate(item)
    except ValidationError as error:
        return from_validation(error.errors(include_url=False))


def _result(given: Any, *, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        run_id = given.get("runId") if isinstance(given, dict) else None
        return {
            "runId": run_id if isinstance(run_id, str) and _is_text(run_id) else None,
            "status": _STATUS.get(outcome.status, "invalid"),
            "problem": outcome.body(),
        }
    return outcome.model_dump(by_alias=True)


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= part <= "\udfff" for part in value)
