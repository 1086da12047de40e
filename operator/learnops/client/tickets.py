"""Records that wait to be written, and how long anybody waits for that."""

from dataclasses import dataclass
from enum import Enum, auto

from learnops.client.frames import Record
from learnops.client.parcel import Parcel
from learnops.client.waiting import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a spool, in seconds.

    Attributes:
        wait_seconds: how long an agent waits at most until its record is on disk.
        rest_seconds: how long nothing is written after the disk refused a record.
        search_seconds: between two searches for what ended processes left.
    """

    wait_seconds: float
    rest_seconds: float = 5.0
    search_seconds: float = 30.0


class State(Enum):
    """What became of a record that an agent waits for."""

    QUEUED = auto()
    KEPT = auto()  # on disk, and on its way
    REFUSED = auto()  # by the disk
    ABANDONED = auto()  # the agent did not wait any longer and keeps it in memory


class Ticket:
    """One record that waits to be written.

    Attributes:
        parcel: the same in memory, on its way already, so that nobody waits for the disk; None:
            an agent waits, and `done` is set once it is decided.
        released: it counts as waiting no more.
    """

    __slots__ = ("done", "parcel", "record", "released", "state")

    def __init__(self, record: Record, parcel: Parcel | None = None) -> None:
        self.record = record
        self.parcel = parcel
        self.state = State.QUEUED
        self.released = False
        self.done = Signal()
