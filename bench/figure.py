"""One measured number beside the one that is wanted."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number as measured.

    ``at_most`` and ``at_least`` are the wanted bounds in ``unit``; neither: no number is asked for.
    ``error`` is one standard error where the value is sampled by Monte Carlo.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    error: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the wanted bound is kept; None where there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        if math.isnan(self.value):
            return False
        return self.value <= _or(self.at_most, math.inf) and self.value >= _or(
            self.at_least, -math.inf
        )

    @property
    def unclear(self) -> bool:
        """Missed, but by no more than two standard errors of the simulation."""
        if self.met is not False or self.error is None or math.isnan(self.value):
            return False
        slack = 2 * self.error
        above = self.value - slack > _or(self.at_most, math.inf)
        return not above and self.value + slack >= _or(self.at_least, -math.inf)

    @property
    def wanted(self) -> str:
        """The bound in words."""
        bounds = [("<=", self.at_most), (">=", self.at_least)]
        return " and ".join(f"{sign} {plain(one)}" for sign, one in bounds if one is not None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a value that is not finite is null there."""
        value = self.value if math.isfinite(self.value) else None
        judged = {"wanted": self.wanted, "met": self.met, "unclear": self.unclear}
        return {**asdict(self), "value": value, **judged}


def median(name: str, seconds: Sequence[float], *, wanted: float | None = None) -> Figure:
    """The median of durations in seconds, in milliseconds; ``wanted`` is at most so many."""
    return _quantile(f"{name}, median", seconds, 0.5, wanted)


def p99(name: str, seconds: Sequence[float], *, wanted: float | None = None) -> Figure:
    """The 99th percentile in milliseconds; of fewer than 100 durations it is the longest."""
    return _quantile(f"{name}, p99", seconds, 0.99, wanted)


def plain(value: float) -> str:
    """Three significant digits, without an exponent from a thousandth on."""
    if not math.isfinite(value):
        return "never" if math.isinf(value) else "none"
    if 0 < abs(value) < 0.001:
        return f"{value:.1g}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quantile(name: str, seconds: Sequence[float], q: float, wanted: float | None) -> Figure:
    value = float(np.quantile(seconds, q, method="higher")) * 1000 if len(seconds) else math.nan
    return Figure(name=name, value=value, unit="ms", at_most=wanted, note=f"n = {len(seconds)}")


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
