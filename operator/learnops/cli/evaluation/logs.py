"""From rows to one log for each canary and candidate."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnops.cli.evaluation import columns
from learnops.cli.evaluation.arms import CONTROL, Arms
from learnops.cli.evaluation.columns import Floats
from learnops.cli.evaluation.errors import EvaluationError, bad_line
from learnops.cli.evaluation.names import CANARY, TERM
from learnops.cli.evaluation.rows import Rows
from learnops.domain.evidence.types import Observations

DEFAULT_CANARY = ""
"""The canary of a log that names none."""

MAX_CANARIES = 10_000
_MAX_NAME = 253


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """What one candidate is judged by.

    Attributes:
        runs: of all arms, in registration order.
        lines: where each stands in the file.
    """

    canary: str
    candidate: str
    runs: Observations
    lines: NDArray[np.int64]


class _Part(NamedTuple):
    """Some runs of one canary: line, arm, probabilities, and the loss with the terms behind it."""

    lines: NDArray[np.int64]
    drawn: NDArray[np.int8]
    shares: Floats
    losses: Floats

    def of(self, mine: NDArray[np.intp]) -> "_Part":
        return _Part(self.lines[mine], self.drawn[mine], self.shares[mine], self.losses[mine])


def _joined(parts: Sequence[_Part]) -> _Part:
    lines, drawn, shares, losses = zip(*parts, strict=True)
    return _Part(
        np.concatenate(lines), np.concatenate(drawn), np.concatenate(shares), np.concatenate(losses)
    )


def logs_of(chunks: Iterable[Rows], *, arms: Arms, terms: Sequence[str]) -> list[Log]:
    """The logs of each canary, in the order in which these first appear.

    Args:
        arms: what a run's arm may be called, and the candidates.
        terms: the guardrails' terms that each run must have.

    Raises:
        EvaluationError: a line that cannot be evidence, by number and field.
    """
    found: dict[str, list[_Part]] = defaultdict(list)
    for rows in chunks:
        for canary, part in _by_canary(rows, _part(rows, arms, terms)):
            found[canary].append(part)
        if len(found) > MAX_CANARIES:
            raise EvaluationError(f"the log names more than {MAX_CANARIES} canaries")
    if not found:
        raise EvaluationError("the log has no run")
    return [log for canary, parts in found.items() for log in _logs(canary, parts, arms=arms)]


def _part(rows: Rows, arms: Arms, terms: Sequence[str]) -> _Part:
    drawn = columns.arms_drawn(rows, arms)
    losses = [columns.unit_interval(rows, name) for name in ("loss", *(TERM + it for it in terms))]
    return _Part(
        lines=np.array(rows.lines, dtype=np.int64),
        drawn=drawn,
        shares=columns.shares(rows, arms, drawn),
        losses=np.stack(losses, axis=1),
    )


def _by_canary(rows: Rows, part: _Part) -> Iterator[tuple[str, _Part]]:
    names = rows.columns.get(CANARY)
    if names is None:
        yield DEFAULT_CANARY, part
        return
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            problem = f"must be a name of 1 to {_MAX_NAME} characters"
            raise bad_line(rows.lines[place], CANARY, problem)
        places[name].append(place)
    for name, mine in places.items():
        yield name, part.of(np.array(mine))


def _logs(canary: str, parts: Sequence[_Part], *, arms: Arms) -> Iterator[Log]:
    whole = _joined(parts)
    for number, candidate in enumerate(arms.candidates, start=1):
        runs = _one_of_several(whole, number) if arms.several else _the_one(whole)
        yield Log(canary=canary, candidate=candidate, runs=runs, lines=whole.lines)


def _the_one(part: _Part) -> Observations:
    return Observations(
        seq=_numbered(part),
        is_candidate=part.drawn != CONTROL,
        propensity=part.shares[:, 0].copy(),
        loss=part.losses[:, 0].copy(),
        terms=_terms(part),
    )


def _one_of_several(part: _Part, number: int) -> Observations:
    """One candidate against control, as if the others' runs told nothing.

    A run for which it could not be drawn, because it had been dropped, is no evidence on it.
    """
    propensity = part.shares[:, number].copy()
    return Observations(
        seq=_numbered(part),
        is_candidate=part.drawn == number,
        propensity=propensity,
        loss=part.losses[:, 0].copy(),
        terms=_terms(part),
        void=propensity == 0.0,
        is_other=(part.drawn != number) & (part.drawn != CONTROL),
        control_propensity=part.shares[:, CONTROL].copy(),
    )


def _numbered(part: _Part) -> NDArray[np.int64]:
    return np.arange(1, len(part.lines) + 1)


def _terms(part: _Part) -> Floats | None:
    return part.losses[:, 1:].copy() if part.losses.shape[1] > 1 else None
