"""From raw rows to checked columns, one log for each canary.

Whole columns are converted and checked at once; the slow search for the culprit runs only where
there is one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.cli.evaluation.errors import EvaluationError, bad_line
from learnops.cli.evaluation.rows import CANARY, TERM, Rows
from learnops.domain.assignment import Arm
from learnops.domain.evidence.betting import MIN_PROPENSITY
from learnops.domain.evidence.types import Observations

Floats = NDArray[np.float64]
DEFAULT_CANARY = ""
"""The canary of a log that names none."""

MAX_CANARIES = 10_000
_MAX_NAME = 253
_Chunk = tuple[NDArray[np.bool_], Floats]
"""Whether each run is the candidate's, and its numbers, (n, 2 + terms): propensity, loss, terms."""


def logs_of(
    chunks: Iterable[Rows], *, arms: Mapping[str, Arm], terms: Sequence[str]
) -> dict[str, Observations]:
    """The log of each canary, in the order in which they first appear.

    Args:
        arms: what a run's arm may be called.
        terms: the guardrails' terms that each run must have.

    Raises:
        EvaluationError: a line that cannot be evidence, by number and field.
    """
    found: dict[str, list[_Chunk]] = defaultdict(list)
    for rows in chunks:
        candidate = _arms(rows, arms)
        numbers = np.stack([_numbers(rows, name) for name in _names(terms)], axis=1)
        for canary, mine in _by_canary(rows):
            found[canary].append((candidate[mine], numbers[mine]))
        if len(found) > MAX_CANARIES:
            raise EvaluationError(f"the log names more than {MAX_CANARIES} canaries")
    if not found:
        raise EvaluationError("the log has no run")
    return {canary: _observations(parts, terms) for canary, parts in found.items()}


def _names(terms: Sequence[str]) -> list[str]:
    return ["propensity", "loss", *(TERM + term for term in terms)]


def _observations(parts: Sequence[_Chunk], terms: Sequence[str]) -> Observations:
    numbers = np.concatenate([numbers for _, numbers in parts])
    return Observations(
        seq=np.arange(1, len(numbers) + 1),
        is_candidate=np.concatenate([candidate for candidate, _ in parts]),
        propensity=numbers[:, 0].copy(),
        loss=numbers[:, 1].copy(),
        terms=numbers[:, 2:].copy() if terms else None,
    )


def _by_canary(rows: Rows) -> Iterable[tuple[str, NDArray[np.intp] | slice]]:
    names = rows.columns.get(CANARY)
    if names is None:
        yield DEFAULT_CANARY, slice(None)
        return
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            problem = f"must be a name of 1 to {_MAX_NAME} characters"
            raise bad_line(rows.lines[place], CANARY, problem)
        places[name].append(place)
    for name, mine in places.items():
        yield name, np.array(mine)


def _arms(rows: Rows, arms: Mapping[str, Arm]) -> NDArray[np.bool_]:
    column = rows.columns["arm"]
    try:
        drawn = [arms[name] for name in column]
    except (KeyError, TypeError):
        raise _unknown_arm(rows, arms) from None
    return np.array([arm is Arm.CANDIDATE for arm in drawn], dtype=np.bool_)


def _unknown_arm(rows: Rows, arms: Mapping[str, Arm]) -> EvaluationError:
    place = next(
        place
        for place, name in enumerate(rows.columns["arm"])
        if not isinstance(name, str) or name not in arms
    )
    problem = f"{rows.columns['arm'][place]!r:.80} is none of {', '.join(arms)}"
    return bad_line(rows.lines[place], "arm", problem)


def _numbers(rows: Rows, name: str) -> Floats:
    """A column of numbers, each where it must lie."""
    column = rows.columns[name]
    low, high = (MIN_PROPENSITY, 1.0 - MIN_PROPENSITY) if name == "propensity" else (0.0, 1.0)
    numbers = _converted(column) if rows.text or _all_numbers(column) else _each(column)
    wrong = ~((numbers >= low) & (numbers <= high))
    if wrong.any():
        place = int(wrong.argmax())
        raise bad_line(rows.lines[place], name, _problem(name, column[place], numbers[place]))
    return numbers


def _converted(column: Sequence[Any]) -> Floats:
    try:
        return np.array([float(it) for it in column], dtype=np.float64)
    except ValueError:
        return np.array([_number(it) for it in column], dtype=np.float64)


def _each(column: Sequence[Any]) -> Floats:
    """JSON: only a number is one; neither text nor true."""
    kinds = (int, float)
    return np.array([_number(it) if type(it) in kinds else np.nan for it in column])


def _all_numbers(column: Sequence[Any]) -> bool:
    return {type(it) for it in column} <= {float}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")


def _problem(name: str, value: Any, number: float) -> str:
    if value is None or value == "":
        return "missing"
    if isinstance(value, dict):
        return "a map by name (A/B/n) cannot be evaluated yet; give the candidate's probability"
    if np.isnan(number):
        return f"{value!r:.80} is not a number"
    if name == "propensity":
        return f"{value!s:.40} is not strictly between 0 and 1 (the candidate's probability)"
    return f"{value!s:.40} is not in [0, 1]"
