"""A replay of a doer's run log in Postgres."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.adapters.postgres import whatif as log
from learnops.adapters.postgres.whatif import Kept, Reader
from learnops.cli.inputs import InputError
from learnops.cli.replay.report import Progress, Report
from learnops.cli.replay.target import TERMS, Target
from learnops.cli.replay.values import OVER_BUDGET, floats, value_columns, values_of
from learnops.cli.replay.verdicts import Decisions
from learnops.domain.crl.whatif import Runs, Tally, count, rescored
from learnops.domain.crl.yardstick import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which runs: of a doer, of the last days; and how many of its last rollouts are judged."""

    namespace: str
    doer: str
    days: int
    last: int


def replay(
    connection: Reader, asked: Asked, target: Target, *, decisions: Decisions, tell: Progress
) -> Report:
    """Score the runs and judge the rollouts once more.

    Raises:
        InputError: there is no such run, or there are too many kinds of them.
        psycopg.Error: the database broke off.
    """
    try:
        known = log.kept(connection, namespace=asked.namespace, doer=asked.doer, days=asked.days)
    except log.TooMuchError as error:
        raise InputError(f"{error} with --days") from error
    if not known.groups:
        raise InputError(
            f"no run of doer {asked.doer} in namespace {asked.namespace} in the last "
            f"{asked.days} days; name another, or more with --days"
        )
    tallies = [Tally() for _ in known.groups]
    done, unknown = 0, _Unrepeatable()
    for piece in _pieces(connection, asked, known, target):
        runs = runs_of(piece, known, target)
        unknown.add(piece, runs, target)
        count(runs, rescored(runs, target.yardsticks), into=tallies)
        done += len(runs)
        tell(f"{done:,} of {known.runs:,} runs scored")
    canaries, notes = decisions.of_doer(
        connection, target, namespace=asked.namespace, doer=asked.doer, last=asked.last
    )
    told = [*unknown.notes(), *notes]
    return Report(groups=known.groups, tallies=tallies, canaries=canaries, notes=told)


def _pieces(
    connection: Reader, asked: Asked, known: Kept, target: Target
) -> Iterator[NDArray[Any]]:
    columns = [*log.scored_columns(known, target.tenants), *value_columns(target)]
    columns = list({it.name: it for it in columns}.values())  # an extra term may be in both
    yield from log.runs_of(
        connection,
        namespace=asked.namespace,
        doer=asked.doer,
        days=asked.days,
        columns=columns,
    )


def runs_of(piece: NDArray[Any], known: Kept, target: Target) -> Runs:
    """The columns of a piece, as they are compared."""
    return Runs(
        group=piece["group"].astype(np.int64),
        tenant=piece["tenant"].astype(np.int64),
        tenants=target.tenants,
        loss=floats(piece, "loss"),
        partial=piece["partial"] == 1.0,
        scored={name: floats(piece, name) for name in (*TERMS, *known.extra)},
        weights=piece["weights"].astype(np.int64),
        known=tuple(Weights(by_term=it) for it in known.weights),
        values=values_of(piece, target),
    )


class _Unrepeatable:
    """Runs whose cost or latency was scored by a budget, and whose bundle tells it no more."""

    def __init__(self) -> None:
        self._runs = dict.fromkeys((it[0].value for it in OVER_BUDGET), 0)

    def add(self, piece: NDArray[Any], runs: Runs, target: Target) -> None:
        for term, spent, *_ in OVER_BUDGET if target.whole and term_in_use(target) else ():
            kept = np.isnan(piece[spent]) & ~np.isnan(runs.scored[term.value])
            self._runs[term.value] += int(kept.sum())

    def notes(self) -> Sequence[str]:
        return [
            f"{term}: {runs:,} runs keep the value that their budget of the time gave: their "
            "bundles are no longer there"
            for term, runs in self._runs.items()
            if runs
        ]


def term_in_use(target: Target) -> bool:
    """Whether cost or latency counts by the other yardstick."""
    return any(term.value in target.in_use for term, *_ in OVER_BUDGET)
