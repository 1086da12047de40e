"""A report on its way: as it came, scored or wrong, and what it is answered."""

from dataclasses import dataclass
from http import HTTPStatus

from learnops.adapters.postgres.runs import RunKey, RunRow, StoredRun
from learnops.domain.crl.score import CRLResult
from learnops.domain.crl.terms import InvalidMetric
from learnops.server.answers import BundleAnswer
from learnops.server.contents import is_content_of
from learnops.server.models import Bundle
from learnops.server.problems import Problem
from learnops.server.rows import content_of, stored_answer
from learnops.server.scoring import answer


@dataclass(frozen=True, slots=True)
class Taken:
    """A bundle as it was sent, and what may be stored of it or why nothing may."""

    sent: Bundle
    kept: Bundle | InvalidMetric
    content: str | None  # what is kept as canonical JSON, of a large one
    once: str | None = None  # the same as it was kept before its doer went; stored never

    @property
    def key(self) -> RunKey:
        """Namespace and run id."""
        return self.sent.namespace, self.sent.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    taken: Taken

    @property
    def key(self) -> RunKey:
        """Namespace and run id."""
        return self.taken.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(_Judged):
    """A report with the row to store of it."""

    row: RunRow
    result: CRLResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong(_Judged):
    """A report that is wrong now. If its run is stored it was right once, and is answered so."""

    problem: Problem


async def answer_wrong(item: Wrong, *, stored: StoredRun | None) -> BundleAnswer:
    """What its run was answered before its Doer went or changed; else what is wrong with it."""
    taken = item.taken
    if stored is None or isinstance(taken.kept, InvalidMetric):
        return item.problem
    if not await _is_of(stored, taken.content or content_of(taken.kept), taken.once):
        return item.problem
    return stored_answer(taken.sent.run_id, status="duplicate", run=stored)


async def answer_scored(item: Scored, *, first: Scored, stored: StoredRun | None) -> BundleAnswer:
    """Beside what was stored before it or, if nothing was, the first report of the run here."""
    run_id = item.row.run_id
    if stored is not None:
        if not await _is_of(stored, item.row.bundle, item.taken.once):
            return _conflict(run_id)
        return stored_answer(run_id, status="duplicate", run=stored)
    if item.row.content_hash != first.row.content_hash:
        return _conflict(run_id)
    status = "accepted" if item is first else "duplicate"
    return answer(run_id, status=status, result=first.result)


async def _is_of(stored: StoredRun, *contents: str | None) -> bool:
    """Whether the run has one of these contents."""
    for content in contents:
        if content is not None and await is_content_of(stored.content_hash, content):
            return True
    return False


def _conflict(run_id: str) -> Problem:
    detail = f"run {run_id!r} is stored with other content; the first stays"
    return Problem(HTTPStatus.CONFLICT, detail, field="runId")
