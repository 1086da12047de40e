"""What this process knows of its doer's traffic, and for how long it may be believed."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from learnops.client.policy import Policy
from learnops.client.telemetry import Telemetry
from learnops.client.waiting import Signal
from learnops.domain.assignment import Region

_REMEMBERED_UIDS = 16
_MAX_EPOCH_SECONDS = 2**31 - 1  # a Doer's own bound is lower; beyond floats it could not be used
_UNITS = ("Run", "Session", "TenantEpoch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The canary that is live: its id, its policies, and all candidates' share in percent."""

    id: str
    control: str
    candidates: tuple[str, ...]
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKind:
    """What an arm is drawn for: `Run`, `Session`, or `TenantEpoch` of so many seconds."""

    name: str = "Run"
    epoch_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """The shadow stage: the id of its rollout, and the candidate that runs beside control."""

    rollout: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`Doer.status.traffic` with the content of the policies it names."""

    doer_uid: str
    revision: int
    etag: str
    router: str
    salt: str
    active: str
    rollout: Rollout | None
    shares: tuple[Region, ...]
    policies: Mapping[str, Policy]
    unit: UnitKind = UnitKind()
    shadow: Shadow | None = None

    @property
    def control(self) -> str:
        """The policy that a run gets when in doubt."""
        return self.rollout.control if self.rollout else self.active


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A snapshot and the monotonic time at which the dead-man switch opens (None: never)."""

    snapshot: Snapshot
    expires_at: float | None

    def fresh(self, now: float) -> bool:
        """Whether the operator was heard of recently enough."""
        return self.expires_at is None or now < self.expires_at


class SnapshotHolder:
    """The newest snapshot. Readers take no lock; `offer` and `extend` decide what is newest.

    Attributes:
        first: set once there is any snapshot.
    """

    def __init__(
        self, *, clock: Callable[[], float], telemetry: Telemetry, view: View | None = None
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._view = view
        self.first = Signal()
        if view is not None:
            self.first.set()
        self._changing = RLock()
        self._replaced_uids: deque[str] = deque(maxlen=_REMEMBERED_UIDS)

    @property
    def view(self) -> View | None:
        """What is known now; None before the first snapshot."""
        return self._view

    def seconds_left(self) -> float | None:
        """Until the dead-man switch opens; None: never, or nothing is known yet."""
        view = self._view
        if view is None or view.expires_at is None:
            return None
        return max(view.expires_at - self._clock(), 0.0)

    def offer(self, snapshot: Snapshot, *, ttl_seconds: float | None) -> bool:
        """Take a snapshot unless it is older than what is known.

        A revision only rises, so that an api replica that lags cannot revive a candidate that was
        rolled back. A new Doer UID starts over; a UID that was replaced does not come back.
        """
        with self._changing:
            if self._is_older(snapshot):
                self._telemetry.count("snapshots_refused")
                return False
            current = self._view
            if current and current.snapshot.doer_uid != snapshot.doer_uid:
                self._replaced_uids.append(current.snapshot.doer_uid)
            self._view = View(snapshot=snapshot, expires_at=self._deadline(ttl_seconds))
        self.first.set()
        self._telemetry.count("snapshots_accepted")
        return True

    def extend(self, *, etag: str, ttl_seconds: float | None) -> None:
        """The snapshot with this etag is still right: count its time to live anew."""
        with self._changing:
            if self._view and self._view.snapshot.etag == etag:
                deadline = self._deadline(ttl_seconds)
                self._view = View(snapshot=self._view.snapshot, expires_at=deadline)

    def _is_older(self, snapshot: Snapshot) -> bool:
        if snapshot.doer_uid in self._replaced_uids:
            return True
        current = self._view
        if current is None or current.snapshot.doer_uid != snapshot.doer_uid:
            return False
        return snapshot.revision < current.snapshot.revision

    def _deadline(self, ttl_seconds: float | None) -> float | None:
        return None if ttl_seconds is None else self._clock() + ttl_seconds


class MalformedSnapshotError(ValueError):
    """An answer that is no snapshot; the message names the field."""


def parse_snapshot(body: Any) -> tuple[Snapshot, float | None]:
    """A snapshot and its time to live in seconds (None: the dead-man switch is turned off).

    Raises:
        MalformedSnapshotError: naming the field. Half a snapshot is never used.
    """
    if not isinstance(body, dict):
        raise MalformedSnapshotError("the answer is not a JSON object")
    policies = _field(body, "policies", dict)
    try:
        contents = {name: Policy.from_wire(name, policies[name]) for name in policies}
    except ValueError as error:
        raise MalformedSnapshotError(str(error)) from error
    snapshot = Snapshot(
        doer_uid=_field(body, "doerUID", str),
        revision=_field(body, "revision", int),
        etag=_field(body, "etag", str),
        router=_field(body, "router", str),
        salt=_field(body, "salt", str),
        active=_field(body, "active", str),
        rollout=_rollout(body.get("rollout")),
        shares=tuple(_share(entry) for entry in _field(body, "shares", list)),
        policies=contents,
        unit=_unit(body.get("assignment")),
        shadow=_shadow(body.get("shadow")),
    )
    if snapshot.control not in contents:
        raise MalformedSnapshotError(f"policies does not hold {snapshot.control!r}, the control")
    return snapshot, parse_ttl(body.get("ttlSeconds"))


def parse_ttl(value: Any) -> float | None:
    """Seconds left, None for "turned off"; raises MalformedSnapshotError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise MalformedSnapshotError(f"ttlSeconds is {value!r:.80}, no number of seconds")
    return max(float(value), 0.0)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _rollout(value: Any) -> Rollout | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedSnapshotError("rollout is no object")
    return Rollout(
        id=_field(value, "id", str),
        control=_field(value, "control", str),
        candidates=_candidates(value),
        percent=_percent(value),
    )


def _unit(value: Any) -> UnitKind:
    """A kind that is not known here is none that this process could draw for."""
    if value is None:
        return UnitKind()
    if not isinstance(value, dict) or value.get("unit") not in _UNITS:
        raise MalformedSnapshotError(f"assignment is {value!r:.80}; upgrade this SDK")
    if value["unit"] != "TenantEpoch":
        return UnitKind(name=value["unit"])
    seconds = _field(value, "epochSeconds", int)
    if not 1 <= seconds <= _MAX_EPOCH_SECONDS:
        raise MalformedSnapshotError(
            f"epochSeconds is {seconds!r:.80}, not from 1 to {_MAX_EPOCH_SECONDS}"
        )
    return UnitKind(name=value["unit"], epoch_seconds=seconds)


def _shadow(value: Any) -> Shadow | None:
    """None as well where an older api does not tell it."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedSnapshotError("shadow is no object")
    return Shadow(rollout=_field(value, "rollout", str), policy=_field(value, "policy", str))


def _share(value: Any) -> Region:
    if not isinstance(value, dict):
        raise MalformedSnapshotError("shares holds an entry that is no object")
    policy, percent = _field(value, "policy", str), _percent(value)
    try:
        start = _percent(value, "start") if "start" in value else 0.0
        return Region(policy=policy, percent=percent, start=start)
    except ValueError as error:
        raise MalformedSnapshotError(str(error)) from error


def _percent(value: dict[str, Any], name: str = "percent") -> float:
    percent = value.get(name)
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise MalformedSnapshotError(f"{name} is {percent!r}, not from 0 to 100")
    return float(percent)


def _candidates(rollout: dict[str, Any]) -> tuple[str, ...]:
    """An older api knows one only."""
    if "candidates" not in rollout:
        return (_field(rollout, "candidate", str),)
    values = _field(rollout, "candidates", list)
    if not values or not all(isinstance(value, str) for value in values):
        raise MalformedSnapshotError(f"candidates is {values!r:.80}, expected names")
    return tuple(values)


def _field(body: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = body.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedSnapshotError(f"{name} is {value!r:.80}, expected {kind.__name__}")
    return value
