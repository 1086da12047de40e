"""The objects this operator watches, as the API server last showed them.

Three streams meet here: the watch, the operator's own writes (put in at once, so that the next look
does not wait for the watch) and the periodic relist. The newer resourceVersion wins, so their order
does not matter; a deletion is by UID and is remembered, so that a late answer to an own write does
not bring an object back.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from learnops.domain.observed import Key

Raw = dict[str, Any]
KINDS = ("Doer", "Policy", "CanaryDeployment")
_REMEMBERED_DELETIONS = 4096


@dataclass(frozen=True, kw_only=True)
class DoerObjects:
    """What belongs to one doer, raw; canaries and policies in no particular order."""

    doer: Raw | None
    policies: tuple[Raw, ...]
    canaries: tuple[Raw, ...]


class ObjectCache:
    """Raw objects by kind, namespace and name, and by the doer they belong to."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Raw] = {}
        self._members: dict[Key, set[tuple[str, str, str]]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def put(self, raw: Raw) -> set[Key]:
        """Store an object if it is newer than what is here; the doers it concerns.

        An object that was moved to another doer concerns both.
        """
        place, metadata = _place(raw), raw["metadata"]
        if metadata["uid"] in self._deleted:
            return set()
        old = self._objects.get(place)
        if old is not None and _version(old) >= _version(raw):
            return set()
        concerned = self._drop(place) | {key_of(raw)}
        self._objects[place] = raw
        self._members.setdefault(key_of(raw), set()).add(place)
        return concerned

    def remove(self, raw: Raw) -> set[Key]:
        """Forget a deleted object; one of the same name with another UID stays."""
        uid = raw["metadata"]["uid"]
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        place = _place(raw)
        old = self._objects.get(place)
        if old is None or old["metadata"]["uid"] != uid:
            return {key_of(raw)}
        return self._drop(place)

    def uids(self, kind: str) -> dict[str, Raw]:
        """The objects of a kind by UID: what a relist that begins now is compared with."""
        found = (raw for place, raw in self._objects.items() if place[0] == kind)
        return {raw["metadata"]["uid"]: raw for raw in found}

    def replace(self, *, before: dict[str, Raw], listed: Iterable[Raw]) -> set[Key]:
        """Take in a relist; drop what was here `before` it began and is not in it.

        What appeared while the list was being read is not touched by its absence from the list.
        """
        concerned: set[Key] = set()
        gone = dict(before)
        for raw in listed:
            gone.pop(raw["metadata"]["uid"], None)
            concerned |= self.put(raw)
        for raw in gone.values():
            concerned |= self.remove(raw)
        return concerned

    def objects_of(self, key: Key) -> DoerObjects:
        """Everything that belongs to a doer."""
        by_kind: dict[str, list[Raw]] = {kind: [] for kind in KINDS}
        for place in self._members.get(key, ()):
            by_kind[place[0]].append(self._objects[place])
        doers = by_kind["Doer"]
        return DoerObjects(
            doer=doers[0] if doers else None,
            policies=tuple(by_kind["Policy"]),
            canaries=tuple(by_kind["CanaryDeployment"]),
        )

    def get(self, *, kind: str, namespace: str, name: str) -> Raw | None:
        """One object, None where there is none."""
        return self._objects.get((kind, namespace, name))

    def knows(self, key: Key) -> bool:
        """Whether anything belongs to this doer."""
        return key in self._members

    def keys(self) -> list[Key]:
        """Every doer that exists or is referred to."""
        return list(self._members)

    def route_owner(self, key: Key) -> str | None:
        """The oldest other doer that names the same HTTPRoute, if it is older than this one."""
        own = self.get(kind="Doer", namespace=key.namespace, name=key.doer)
        route = None if own is None else _route(own)
        if own is None or route is None:
            return None
        rivals = [
            raw
            for place, raw in self._objects.items()
            if place[:2] == ("Doer", key.namespace) and _route(raw) == route
        ]
        oldest: str = min(rivals, key=_age_order)["metadata"]["name"]
        return None if oldest == key.doer else oldest

    def highest_fence(self) -> int:
        """The highest `status.fence` on any object; 0 without one."""
        fences = (raw.get("status", {}).get("fence", 0) for raw in self._objects.values())
        return max(fences, default=0)

    def _drop(self, place: tuple[str, str, str]) -> set[Key]:
        old = self._objects.pop(place, None)
        if old is None:
            return set()
        key = key_of(old)
        members = self._members[key]
        members.discard(place)
        if not members:
            del self._members[key]
        return {key}


def key_of(raw: Raw) -> Key:
    """The doer that an object belongs to."""
    metadata = raw["metadata"]
    if raw["kind"] == "Doer":
        return Key(namespace=metadata["namespace"], doer=metadata["name"])
    return Key(namespace=metadata["namespace"], doer=raw["spec"]["doerRef"]["name"])


def _place(raw: Raw) -> tuple[str, str, str]:
    return raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"]


def _version(raw: Raw) -> int:
    # Revisions of etcd: they rise over all objects and compare as numbers.
    return int(raw["metadata"]["resourceVersion"])


def _route(doer: Raw) -> str | None:
    traffic = doer["spec"].get("traffic", {})
    if traffic.get("router") != "GatewayAPI":
        return None
    name: str | None = traffic.get("routeRef", {}).get("name")
    return name


def _age_order(raw: Raw) -> tuple[str, str]:
    return raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]
