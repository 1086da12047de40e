"""Units that this process has drawn: a unit keeps its arm."""

from collections import OrderedDict
from threading import Lock

from learnops.client.assignment import Assignment

_CAPACITY = 10_000


class DrawnUnits:
    """The last assignments by rollout and unit, bounded; the oldest are forgotten. Thread-safe.

    Keyed by rollout: when one ends (roll-back, promotion), what was drawn in it no longer holds.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._drawn: OrderedDict[tuple[str, str], Assignment] = OrderedDict()

    def get(self, rollout: str, unit_id: str) -> Assignment | None:
        """What the unit was drawn to in this rollout."""
        key = (rollout, unit_id)
        with self._lock:
            found = self._drawn.get(key)
            if found is not None:
                self._drawn.move_to_end(key)
            return found

    def put(self, rollout: str, unit_id: str, assignment: Assignment) -> None:
        """Remember a draw that the api acknowledged."""
        with self._lock:
            self._drawn[(rollout, unit_id)] = assignment
            self._drawn.move_to_end((rollout, unit_id))
            while len(self._drawn) > _CAPACITY:
                self._drawn.popitem(last=False)
