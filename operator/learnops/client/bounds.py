"""What a bound of the SDK may be: a number of its type within a range."""

from collections.abc import Mapping
from dataclasses import dataclass

_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `least` to `most`, both included; `whole` ones alone."""

    least: float
    most: float
    whole: bool = False

    def check(self, name: str, value: object) -> None:
        """Raises ValueError, which names the option, for anything else."""
        kinds = int if self.whole else int | float
        # A bool is an int for Python and a mistake here; nan is in no range.
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or not self.least <= value <= self.most:  # type: ignore[operator]
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(
                f"options.{name} is {value!r:.60} and must be {kind} from {self.least:.15g} to "
                f"{self.most:.15g}"
            )


def _seconds(most: float, *, least: float = 0.0) -> Range:
    return Range(least=least, most=most)


def _count(most: int, *, least: int = 1) -> Range:
    return Range(least=least, most=most, whole=True)


RANGES: Mapping[str, Range] = {
    "registration_seconds": _seconds(60),
    "first_snapshot_seconds": _seconds(3600),
    "long_poll_seconds": _count(60),
    "request_seconds": _seconds(600, least=0.1),
    "batch_runs": _count(10_000),  # as many as the api takes at once
    "batch_seconds": _seconds(3600),
    "buffer_runs": _count(10_000_000),
    "buffer_bytes": _count(2**40),
    "signal_seconds": _seconds(_DAY),
    "shadow_waiting": _count(10_000, least=0),
    "close_seconds": _seconds(3600),
    "spool_seconds": _seconds(60),
    "spool_runs": _count(10_000_000),
    "spool_bytes": _count(2**40),
    "spool_keep_seconds": _seconds(366 * _DAY, least=1.0),
}
