"""How far the counters of a doer are behind its run log, from the gauges of all processes."""

from collections.abc import Mapping
from math import isfinite

Prefix = tuple[str, str, str]
"""Process, namespace, doer."""
LagSeries = tuple[bool, float, float]
"""Whether it is the sample's timestamp, the value, and when it was asked for."""


def worst_lags(
    lags: Mapping[Prefix, list[LagSeries]], *, counting: set[Prefix]
) -> dict[tuple[str, str], float]:
    """Seconds by namespace and doer; a doer is left out where one of its processes does not tell.

    The worst counts: whichever process moved the prefix, only its own counters hold those runs.

    Args:
        lags: the gauge and its timestamps by process.
        counting: the processes that have counters.
    """
    worst: dict[tuple[str, str], float] = {}
    unknown: set[tuple[str, str]] = set()
    for prefix in counting | lags.keys():
        lag, doer = _lag(lags.get(prefix, [])), (prefix[1], prefix[2])
        if lag is None:
            unknown.add(doer)
        else:
            worst[doer] = max(worst.get(doer, 0.0), lag)
    return {doer: lag for doer, lag in worst.items() if doer not in unknown}


def _lag(series: list[LagSeries]) -> float | None:
    """The gauge now: what it said, and the age of its sample. None: missing, or no number."""
    values = [value for is_timestamp, value, _ in series if not is_timestamp]
    ages = [asked_at - value for is_timestamp, value, asked_at in series if is_timestamp]
    if not values or len(values) != len(ages):
        return None
    if not all(isfinite(one) and one >= 0 for one in values) or not all(map(isfinite, ages)):
        return None
    return max(values) + max(*ages, 0.0)
