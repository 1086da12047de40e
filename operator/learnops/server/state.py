"""What this replica has seen of the API server: doers, policies and canaries, by name.

Each kind is a sink for a reflector. Objects that this version cannot read are left out and logged:
a bad object harms only itself.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.api.served import TrafficStatus
from learnops.domain.arms import candidate_shares
from learnops.domain.assignment import Region
from learnops.ports.clock import Clock

log = logging.getLogger(__name__)

Name = tuple[str, str]  # namespace, name
Item = TypeVar("Item", Doer, Policy, CanaryDeployment)
Raw = dict[str, Any]


class Objects(Generic[Item]):
    """All objects of one kind.

    `changed` is called with the name of each that comes, changes or goes, and what was there before
    (None for a new one).
    """

    def __init__(self, *, model: type[Item], changed: Callable[[Name, Item | None], None]) -> None:
        self._model: type[Item] = model
        self._changed: Callable[[Name, Item | None], None] = changed
        self._items: dict[Name, Item] = {}

    def get(self, name: Name) -> Item | None:
        """The object, None if there is none (or none that can be read)."""
        return self._items.get(name)

    def all(self) -> list[Item]:
        """All of them, in no order."""
        return list(self._items.values())

    def within(self, namespace: str) -> "Within[Item]":
        """The sink for one namespace, "" for all of them."""
        return Within(objects=self, namespace=namespace)

    def replace(self, objects: list[Raw], *, namespace: str = "") -> None:
        """All that exist now in the namespace ("" for all of them)."""
        fresh = {_name(raw): raw for raw in objects}
        for name in [name for name in self._items if name not in fresh]:
            if namespace in ("", name[0]):
                self._forget(name)
        for raw in objects:
            self.put(raw)

    def put(self, item: Raw) -> None:
        """One that was made or changed."""
        name = _name(item)
        previous = self._items.get(name)
        try:
            self._items[name] = self._model.model_validate(item)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            log.warning("%s %s/%s cannot be read: %s", self._model.__name__, *name, where)
            # What it was before may be a candidate that has been rolled back since.
            self._forget(name)
            return
        self._changed(name, previous)

    def drop(self, item: Raw) -> None:
        """One that was deleted."""
        self._forget(_name(item))

    def _forget(self, name: Name) -> None:
        previous = self._items.pop(name, None)
        if previous is not None:
            self._changed(name, previous)


@dataclass(frozen=True, kw_only=True)
class Within(Generic[Item]):
    """A reflector's sink: the objects of one namespace, or of all."""

    objects: Objects[Item]
    namespace: str

    def replace(self, objects: list[Raw]) -> None:
        """All that exist there now."""
        self.objects.replace(objects, namespace=self.namespace)

    def put(self, item: Raw) -> None:
        """One that was made or changed."""
        self.objects.put(item)

    def drop(self, item: Raw) -> None:
        """One that was deleted."""
        self.objects.drop(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRollout:
    """A live canary as traffic tells it; each candidate has a region of its own."""

    id: str
    canary: str
    control: str
    regions: tuple[Region, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(region.policy for region in self.regions)

    @property
    def percent(self) -> int:
        """The share of all candidates together."""
        return round(sum(region.percent for region in self.regions))

    @property
    def propensity(self) -> float:
        """The probability of any candidate."""
        return self.percent / 100.0

    @property
    def propensities(self) -> dict[str, float]:
        """The probability of each policy, of control too."""
        drawn = {region.policy: region.percent / 100.0 for region in self.regions}
        return {self.control: (100 - self.percent) / 100.0, **drawn}


def live_rollout(traffic: TrafficStatus) -> LiveRollout | None:
    """The rollout that traffic is drawn for, None while no canary is live."""
    candidates = candidate_shares(traffic)
    if traffic.canary is None or not traffic.salt or not candidates:
        return None
    return LiveRollout(
        id=traffic.salt,
        canary=traffic.canary,
        control=traffic.active,
        regions=tuple(
            Region(policy=it.policy, percent=it.percent, start=it.start or 0) for it in candidates
        ),
    )


class State:
    """Everything seen, and who waits for a change of it."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Name, asyncio.Event] = {}
        self._revision_since: dict[Name, tuple[int, float]] = {}
        self._lingering: dict[Name, Policy] = {}
        self.policies_changed: set[Name] = set()  # taken by the mirror
        self.doers = Objects(model=Doer, changed=self._doer_changed)
        self.policies = Objects(model=Policy, changed=self._policy_changed)
        self.canaries = Objects(model=CanaryDeployment, changed=lambda _name, _previous: None)

    def policy(self, name: Name) -> Policy | None:
        """A policy; a deleted one stays as long as a doer's traffic names it."""
        return self.policies.get(name) or self._lingering.get(name)

    def revision_age(self, doer: Name) -> float:
        """Seconds since this process first saw the doer's present traffic revision."""
        seen = self._revision_since.get(doer)
        return 0.0 if seen is None else self._clock.monotonic() - seen[1]

    def change_of(self, doer: Name) -> asyncio.Event:
        """An event that is set once the doer, or a policy it serves, changes."""
        return self._waiting.setdefault(doer, asyncio.Event())

    def waiters(self) -> int:
        """Doers that somebody waits for."""
        return len(self._waiting)

    def _wake(self, doer: Name) -> None:
        event = self._waiting.pop(doer, None)
        if event is not None:
            event.set()

    def wake_all(self) -> None:
        """Let every waiter look again (the process is about to end)."""
        for doer in list(self._waiting):
            self._wake(doer)

    def _doer_changed(self, name: Name, _previous: Doer | None) -> None:
        doer = self.doers.get(name)
        if doer is None or doer.status.traffic is None:
            self._revision_since.pop(name, None)
        elif self._revision_since.get(name, (0, 0.0))[0] != doer.status.traffic.revision:
            now = self._clock.monotonic()
            self._revision_since[name] = (doer.status.traffic.revision, now)
        if self._lingering:
            self._lingering = {
                key: policy for key, policy in self._lingering.items() if self._serves(policy)
            }
        self._wake(name)

    def _policy_changed(self, name: Name, previous: Policy | None) -> None:
        self.policies_changed.add(name)
        current = self.policies.get(name)
        if current is not None:
            self._lingering.pop(name, None)
        elif previous is not None and self._serves(previous):
            self._lingering[name] = previous
        policy = current or previous
        if policy is not None:
            self._wake((name[0], policy.spec.doer_ref.name))

    def _serves(self, policy: Policy) -> bool:
        doer = self.doers.get((policy.metadata.namespace, policy.spec.doer_ref.name))
        if doer is None or doer.status.traffic is None:
            return False
        traffic, name = doer.status.traffic, policy.metadata.name
        return traffic.shadow == name or any(share.policy == name for share in traffic.shares)


def _name(raw: Raw) -> Name:
    metadata = raw.get("metadata") or {}
    return (str(metadata.get("namespace", "")), str(metadata.get("name", "")))
