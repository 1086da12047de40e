"""The unit that a run is drawn for, and those that this process has drawn: a unit keeps its arm."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import RLock

from learnops.client.assignment import Assignment
from learnops.client.snapshot import UnitKind
from learnops.domain.unit import epoch_of, tenant_epoch

_CAPACITY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnUnit:
    """A unit: `key` names it within this process, `told` is what the api needs to know of it.

    The two differ for a tenant: which epoch it is, the api decides by its own clock, so that the
    clocks of agents need not agree; here a new epoch ends what was remembered of the tenant.
    """

    key: str
    told: str | None


def unit_of(
    kind: UnitKind, *, run_id: str, session: str | None, tenant: str | None, now: float
) -> DrawnUnit | None:
    """The run's unit at `now` (seconds since 1970); None where it needs a session or a tenant and
    there is none."""
    if kind.name == "Run":
        return DrawnUnit(key=session or run_id, told=session)
    if kind.name == "Session":
        return DrawnUnit(key=session, told=session) if session else None
    if not tenant:
        return None
    epoch = epoch_of(now, epoch_seconds=kind.epoch_seconds)
    return DrawnUnit(key=tenant_epoch(tenant, epoch=epoch), told=tenant)


class DrawnUnits:
    """The last assignments by rollout and unit, bounded; the oldest are forgotten. Thread-safe.

    Keyed by rollout: when one ends (roll-back, promotion), what was drawn in it no longer holds.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # as for telemetry
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
