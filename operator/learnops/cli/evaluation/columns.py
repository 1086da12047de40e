"""Raw columns of a log to checked arrays.

Whole columns are converted and checked at once; the slow search for the culprit runs only where
there is one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.cli.evaluation.arms import CONTROL, PROPENSITY, Arms
from learnops.cli.evaluation.errors import EvaluationError, bad_line
from learnops.cli.evaluation.rows import Rows
from learnops.domain.evidence.betting import MIN_PROPENSITY

Floats = NDArray[np.float64]

_MOST_BELOW_ONE = 1e-5  # shares may be rounded, as three thirds are
_MOST_ABOVE_ONE = 1e-12


def arms_drawn(rows: Rows, arms: Arms) -> NDArray[np.int8]:
    """The arm of each run: 0 is control, k the k-th candidate."""
    column, numbers = rows.columns["arm"], arms.numbers
    try:
        return np.array([numbers[name] for name in column], dtype=np.int8)
    except (KeyError, TypeError):
        raise _unknown_arm(rows, arms) from None


def _unknown_arm(rows: Rows, arms: Arms) -> EvaluationError:
    place = next(
        place
        for place, name in enumerate(rows.columns["arm"])
        if not isinstance(name, str) or name not in arms.numbers
    )
    known = ", ".join(sorted(arms.numbers))
    problem = f"{rows.columns['arm'][place]!r:.80} is none of {known}"
    return bad_line(rows.lines[place], "arm", problem)


def shares(rows: Rows, arms: Arms, drawn: NDArray[np.int8]) -> Floats:
    """The probabilities, (n, 1): the candidate's; (n, 1 + K) in A/B/n: control's, then each.

    There a candidate may have 0, once it is dropped, where it was not drawn.
    """
    if not arms.several:
        return _checked(rows, PROPENSITY, *_STRICTLY)[:, None]
    columns = [
        _checked(rows, name, *_STRICTLY, or_zero=place != CONTROL)
        for place, name in enumerate(arms.shares)
    ]
    found = np.stack(columns, axis=1)
    total = found.sum(axis=1)
    wrong = ~((total >= 1.0 - _MOST_BELOW_ONE) & (total <= 1.0 + _MOST_ABOVE_ONE))
    if wrong.any():
        place = int(wrong.argmax())
        text = f"the probabilities of all arms add up to {total[place]:.6g}; they must add up to 1"
        raise bad_line(rows.lines[place], PROPENSITY, text)
    wrong = found[np.arange(len(drawn)), drawn] == 0.0
    if wrong.any():
        place = int(wrong.argmax())
        text = f"{rows.columns['arm'][place]:.80} was drawn and its propensity is 0"
        raise bad_line(rows.lines[place], "arm", text)
    return found


def unit_interval(rows: Rows, name: str) -> Floats:
    """A column of numbers in [0, 1]."""
    return _checked(rows, name, 0.0, 1.0)


_STRICTLY = (MIN_PROPENSITY, 1.0 - MIN_PROPENSITY)


def _checked(rows: Rows, name: str, low: float, high: float, *, or_zero: bool = False) -> Floats:
    column = rows.columns[name]
    numbers = _converted(column) if rows.text or _all_numbers(column) else _each(column)
    wrong = ~((numbers >= low) & (numbers <= high))
    if or_zero:
        wrong &= numbers != 0.0
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
    if name == PROPENSITY and isinstance(value, dict):
        return (
            "is a map by name (A/B/n) and the canary has one candidate; "
            "spec.candidateRefs must name each of them"
        )
    if np.isnan(number):
        return f"{value!r:.80} is not a number"
    if name == PROPENSITY:
        return f"{value!s:.40} is not strictly between 0 and 1 (the candidate's probability)"
    if name.startswith(PROPENSITY):
        return f"{value!s:.40} is not strictly between 0 and 1 (that arm's probability)"
    return f"{value!s:.40} is not in [0, 1]"
