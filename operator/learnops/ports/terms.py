"""Which terms runs report, as the operator asks for it: of many doers in one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from learnops.domain.observed import Key


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A doer whose active policy's runs are looked at, if any of its runs came after `since`."""

    key: Key
    policy: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What was found of one doer: the last runs of the policy, how many have each term, and when
    the last run of the doer was received."""

    key: Key
    policy: str
    runs: int
    reported: Mapping[str, int]
    until: datetime


class TermLog(Protocol):
    """The call has a deadline and raises only RunLogUnavailableError."""

    async def reported_terms(self, *, watched: Sequence[Watched], runs: int) -> Sequence[Reported]:
        """Of each doer with news the last `runs` runs of its policy; others are left out."""
