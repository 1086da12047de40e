"""How long to wait before the next try. For the operator and, as it is light, for the SDK too."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """`first_seconds` after the first failure in a row, then twice as long each, up to a bound.

    Up to half of each is taken away at random, so that those which failed together (a server that
    went away) do not come back together.
    """

    first_seconds: float
    most_seconds: float

    def after(self, failures: int, *, chance: float) -> float:
        """Seconds to wait after the n-th failure, from 1; `chance` is a random number in [0, 1)."""
        # The exponent is capped first: it may fail for weeks, and floats end at 2^1024.
        full = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 64))
        return full * (1.0 - 0.5 * chance)
