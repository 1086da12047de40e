"""Numbers as text for statuses: rounded, so that a status does not change with every last digit."""

import math

from learnops.domain.observed import EValue

_LARGEST_LOG = math.log(1e300)


def crossed(value: EValue) -> bool:
    """A test decided: now, or at an earlier block (a crossing counts from where it happened)."""
    return value.crossed_at is not None or value.log_e >= math.log(value.threshold)


def decimal(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def e_value(value: EValue) -> str:
    """The e-value itself, four significant digits; 1e+300 stands for anything larger."""
    return decimal(math.exp(min(value.log_e, _LARGEST_LOG)))


def e_value_short(value: EValue) -> str:
    """The e-value for a sentence: two significant digits below 10, whole numbers above.

    A crossing stands though the e-value fell again by the last block: then where it was is said.
    """
    e = math.exp(min(value.log_e, _LARGEST_LOG))
    shown = f"{e:.2g}" if e < 10 or e >= 1e5 else f"{e:.0f}"
    if value.crossed_at is None or value.log_e >= math.log(value.threshold):
        return shown
    return f"{shown}, had reached {decimal(value.threshold)} at run {value.crossed_at}"


def fraction(value: float | None) -> str | None:
    """A mean loss to three decimals, None where there is none."""
    return None if value is None else f"{value:.3f}"
