"""Rows that Postgres refuses, found out by halves: they must harm nobody they came with."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

import psycopg

from learnops.adapters.postgres.runs import RunKey, RunRow
from learnops.server.problems import Problem

log = logging.getLogger(__name__)
# A value or a row that cannot be; anything else is wrong with all rows alike.
_OF_ROWS: Final = (psycopg.DataError, psycopg.IntegrityError)


class Store(Protocol):
    """Stores rows in one transaction."""

    async def __call__(self, *, rows: Sequence[RunRow]) -> set[RunKey]:
        """The keys that are new."""


async def store_apart(rows: Sequence[RunRow], *, store: Store) -> tuple[set[RunKey], set[RunKey]]:
    """The keys that are new, and those that are refused though others are stored.

    Requests of many callers share a transaction, and no check of what is sent knows all that a
    database refuses. Where it refuses every row, it may as well be the database that is wrong
    (an older one was restored without its sequences, say): its error is raised, so that nobody
    throws a run away. Raises what `store` does.
    """
    halves = _Halves(store=store)
    await halves.take(rows)
    for key, error in halves.refused.items():
        if not halves.stored:
            raise error
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        log.error("bug in ingest: run %s/%s cannot be stored: %s", *key, why)
    return halves.added, set(halves.refused)


@dataclass(kw_only=True)
class _Halves:
    store: Store
    stored: bool = False  # any row, a new one or not
    added: set[RunKey] = field(default_factory=set)
    refused: dict[RunKey, psycopg.Error] = field(default_factory=dict)

    async def take(self, rows: Sequence[RunRow]) -> None:
        try:
            self.added |= await self.store(rows=rows)
            self.stored = True
        except _OF_ROWS as error:
            if len(rows) == 1:
                self.refused[rows[0].key] = error
                return
            half = len(rows) // 2
            await self.take(rows[:half])
            await self.take(rows[half:])


def unstorable(run_id: str) -> Problem:
    """422: to send it again would not help."""
    detail = f"run {run_id!r} cannot be stored, a bug of the api; its log has the details"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
