"""What goes from the spool to an outbox."""

from dataclasses import dataclass
from typing import Protocol

from learnops.client.segment import Segment


@dataclass(slots=True, kw_only=True, eq=False)
class Parcel:
    """An item on its way; `segment` holds it on disk, None where memory alone does.

    `over`: it is done with, and need not be written any more. The spool changes both, under its
    lock.
    """

    body: bytes
    segment: Segment | None = None
    over: bool = False


class Outlet(Protocol):
    """Where parcels go from here."""

    def put(self, item: Parcel, *, force: bool = False) -> bool:
        """Take one, over the bounds if it must."""

    def room(self, items: int, size: int) -> bool:
        """Whether so much more is within the bounds, or nothing is there."""

    def hungry(self) -> bool:
        """Whether it has little left to deliver."""

    def poke(self) -> None:
        """What waits here has changed."""
