"""Rows that Postgres refuses, found out by halves: they must harm nobody they came with."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, Protocol

import psycopg

from learnops.adapters.postgres.runs import RunKey, RunRow
from learnops.server.problems import Problem

log = logging.getLogger(__name__)
# What is wrong with values or with rows that are there; anything else is wrong with all rows alike.
_OF_ROWS: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.InternalError)


class Store(Protocol):
    """Stores rows in one transaction."""

    async def __call__(self, *, rows: Sequence[RunRow]) -> set[RunKey]:
        """The keys that are new."""


async def store_apart(rows: Sequence[RunRow], *, store: Store) -> tuple[set[RunKey], set[RunKey]]:
    """The keys that are new, and those that cannot be stored, with others or alone.

    Requests of many callers share a transaction, and no check of what is sent knows all that a
    database refuses. Raises what `store` does where the rows are not at fault.
    """
    try:
        return await store(rows=rows), set()
    except _OF_ROWS as error:
        if len(rows) == 1:
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            log.error("bug in ingest: run %s/%s cannot be stored: %s", *rows[0].key, why)
            return set(), {rows[0].key}
    half = len(rows) // 2
    added, refused = await store_apart(rows[:half], store=store)
    added_too, refused_too = await store_apart(rows[half:], store=store)
    return added | added_too, refused | refused_too


def unstorable(run_id: str) -> Problem:
    """422: to send it again would not help."""
    detail = f"run {run_id!r} cannot be stored, a bug of the api; its log has the details"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
