"""What can be the value of a signal; everything else is left out before it costs a run."""

import re
from collections.abc import Mapping
from typing import Any, Final

from learnops.client.telemetry import Telemetry
from learnops.domain.bundle_limits import MAX_SIGNALS

NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,31}")


def usable(signals: Mapping[str, object], *, telemetry: Telemetry) -> dict[str, float | bool]:
    """Those of the signals that the api would take; the others are counted and logged once."""
    good: dict[str, float | bool] = {}
    for name, value in signals.items():
        quality = _quality(value) if len(good) < MAX_SIGNALS else None
        if quality is None or not isinstance(name, str) or not NAME.fullmatch(name):
            telemetry.count("signals_invalid")
            shown = name if isinstance(name, str) else type(name).__name__
            telemetry.warn(
                f"signal {shown:.40}",
                "signal %.40s of %.40r was left out: a name must be a camelCase word, a value a "
                "number from 0 to 1, True or False, and of one finish %d count",
                shown,
                value,
                MAX_SIGNALS,
            )
        else:
            good[name] = quality
    return good


def _quality(value: Any) -> float | bool | None:
    if isinstance(value, bool):
        return value
    try:
        number = float(value)  # numbers of array libraries as well
    except Exception:  # noqa: BLE001 - theirs may raise anything, RuntimeError say
        return None
    return number if not isinstance(value, str) and 0 <= number <= 1 else None
