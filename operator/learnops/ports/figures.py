"""What the run log tells besides the evidence: a doer's volume, and losses and costs per arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from learnops.domain.evidence.pairs import BinSums
from learnops.domain.observed import Key


class FiguresUnavailableError(Exception):
    """The run log did not answer, or does not hold the rollout."""


@dataclass(frozen=True, kw_only=True)
class PairRows:
    """Sums over the resolved prefix after a watermark, up to number `until`.

    `more`: the prefix goes on behind it.
    """

    sums: Sequence[BinSums]
    until: int
    more: bool


class Figures(Protocol):
    """Each call has a deadline and raises only FiguresUnavailableError."""

    async def runs_per_day(self, *, key: Key) -> float | None:
        """The doer's volume over the last seven days; None: too little is known of it."""

    async def pairs(
        self, *, key: Key, rollout: str, candidate: str, after: int, limit: int
    ) -> PairRows:
        """At most `limit` runs of the resolved prefix after `after`, summed by arm and loss.

        Of a rollout with several candidates, the runs of this one and of control.
        """
