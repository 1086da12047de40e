"""What became of a batch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Not stored; try again, after the seconds that the server asked for if it did."""

    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Something failed on this request: try again, but not for ever, as one item may be why."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Sent, and no answer came: an outage, or one item on which something on the way breaks off.
    An item is given up when it broke off alone three times, and others went through in between."""

    reason: str
    after: None = None


class Delivered:
    """Stored, or refused for good: done with either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The request as a whole was refused: try its halves, so that one bad item stands alone."""

    reason: str


Delivery = Delivered | Split | Retry | Failing | Broken
