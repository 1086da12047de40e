"""From what happened to many canaries to figures with their Monte-Carlo error."""

from collections.abc import Sequence

import numpy as np

from bench.figure import Figure


def percent(
    name: str,
    happened: Sequence[bool],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """The share in percent; its standard error is that of a binomial."""
    share, count = float(np.mean(happened)), len(happened)
    return Figure(
        name=name,
        value=100 * share,
        unit="%",
        error=100 * float(np.sqrt(share * (1 - share) / count)),
        at_most=at_most,
        at_least=at_least,
        note=f"{count:,} canaries",
    )


def quantile(
    name: str, values: Sequence[float], *, unit: str, q: float = 0.5, at_most: float | None = None
) -> Figure:
    """A quantile; its error from the order statistics one binomial deviation to either side."""
    ordered, count = np.sort(values), len(values)
    value = float(np.quantile(ordered, q, method="higher"))
    spread = np.sqrt(q * (1 - q) / count)
    low, high = (
        float(np.quantile(ordered, float(np.clip(q + sign * spread, 0, 1)), method="nearest"))
        for sign in (-1, 1)
    )
    error = (high - low) / 2 if np.isfinite(high) else float("inf")
    return Figure(
        name=name, value=value, unit=unit, error=error, at_most=at_most, note=f"{count:,} canaries"
    )


def mean(name: str, values: Sequence[float], *, unit: str, at_most: float | None = None) -> Figure:
    """A mean with its standard error."""
    return Figure(
        name=name,
        value=float(np.mean(values)),
        unit=unit,
        error=float(np.std(values) / np.sqrt(len(values))),
        at_most=at_most,
        note=f"{len(values):,} canaries",
    )


def exact(name: str, value: float, *, unit: str, at_most: float) -> Figure:
    """A number that is not sampled."""
    return Figure(name=name, value=value, unit=unit, at_most=at_most)
