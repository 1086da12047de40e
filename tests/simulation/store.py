"""The API server of the simulated world: objects, resourceVersions, generations, finalizers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.domain.plan import FINALIZER

Obj: TypeAlias = Doer | Policy | CanaryDeployment


class ConflictError(Exception):
    """The object is not the one that was read."""


class NotThereError(Exception):
    """What a person would act on is not there, or not yet."""


@dataclass
class Stored:
    """An object as it is, and as a watcher sees it who missed what people did last."""

    now: Obj
    seen: Obj | None = field(default=None)


class Store:
    """People's writes are seen late where a story asks for it; the operator's own at once."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Stored] = {}
        self.gone: dict[tuple[str, str], Obj] = {}  # deleted, and still seen by a late watcher
        self._version = 0
        self._made = 0

    def create(self, obj: Obj, *, at: datetime, by_operator: bool = False) -> Obj:
        """A new object with a UID of its own."""
        self._made += 1
        uid = f"{obj.metadata.name}#{self._made}"
        made = _with_metadata(
            obj, uid=uid, resource_version=self._next(), creation_timestamp=at, generation=1
        )
        self.items[_key(made)] = Stored(now=made, seen=made if by_operator else None)
        return made

    def get(self, kind: str, name: str) -> Obj:
        """An object as it is; NotThereError where there is none."""
        stored = self.items.get((kind, name))
        if stored is None:
            raise NotThereError(f"{kind} {name}")
        return stored.now

    def edit_spec(self, kind: str, name: str, **changes: Any) -> None:
        """A person changes fields of spec."""
        obj = self.get(kind, name)
        spec = obj.spec.model_copy(update=changes)
        if spec == obj.spec:
            return
        generation = obj.metadata.generation + 1
        changed = obj.model_copy(update={"spec": spec})
        self._put(_with_metadata(changed, generation=generation), by_operator=False)

    def edit_status(self, kind: str, name: str, status: Any) -> None:
        """Somebody replaces the status (a restore from git or a backup)."""
        self._put(self.get(kind, name).model_copy(update={"status": status}), by_operator=False)

    def write_status(self, *, kind: str, name: str, uid: str, version: str, status: Any) -> None:
        """The operator's write: tests UID and resourceVersion."""
        obj = self._tested(kind, name, uid, version)
        self._put(obj.model_copy(update={"status": status}), by_operator=True)

    def set_finalizer(self, *, kind: str, name: str, uid: str, version: str, present: bool) -> None:
        """The operator's finalizer; the last one off an object being deleted removes it."""
        obj = self._tested(kind, name, uid, version)
        self._put(_with_metadata(obj, finalizers=(FINALIZER,) if present else ()), by_operator=True)
        if not present and obj.metadata.deletion_timestamp is not None:
            del self.items[(kind, name)]

    def delete(self, kind: str, name: str, *, at: datetime) -> None:
        """A person deletes; finalizers keep it."""
        obj = self.get(kind, name)
        if obj.metadata.finalizers:
            self._put(_with_metadata(obj, deletion_timestamp=at), by_operator=False)
            return
        stored = self.items.pop((kind, name))
        if stored.seen is not None:
            self.gone[(kind, name)] = stored.seen

    def keep_on_delete(self, kind: str, name: str) -> None:
        """Somebody else's finalizer."""
        kept = _with_metadata(self.get(kind, name), finalizers=("example.com/keep",))
        self._put(kept, by_operator=False)

    def all(self, kind: str, *, late: frozenset[tuple[str, str]] = frozenset()) -> list[Obj]:
        """Objects of a kind; those in `late` as before people's last changes to them."""
        found: list[Obj] = []
        for key, stored in self.items.items():
            shown = (self.gone.get(key) or stored.seen) if key in late else stored.now
            if key[0] == kind and shown is not None:
                found.append(shown)
        ghosts = [obj for key, obj in self.gone.items() if key in late and key not in self.items]
        return found + [obj for obj in ghosts if obj.kind == kind]

    def catch_up(self, *, late: frozenset[tuple[str, str]]) -> None:
        """What was seen once stays seen; the rest is seen later."""
        for key in [key for key in self.gone if key not in late]:
            del self.gone[key]
        for key, stored in self.items.items():
            if key not in late:
                stored.seen = stored.now

    def see_all(self) -> None:
        """The watcher has caught up."""
        self.gone.clear()
        for stored in self.items.values():
            stored.seen = stored.now

    def _tested(self, kind: str, name: str, uid: str, version: str) -> Obj:
        stored = self.items.get((kind, name))
        if stored is None or stored.now.metadata.uid != uid:
            raise ConflictError(name)
        if stored.now.metadata.resource_version != version:
            raise ConflictError(name)
        return stored.now

    def _put(self, obj: Obj, *, by_operator: bool) -> None:
        stored = self.items[_key(obj)]
        stored.now = _with_metadata(obj, resource_version=self._next())
        if by_operator:
            stored.seen = stored.now

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


def _key(obj: Obj) -> tuple[str, str]:
    return obj.kind, obj.metadata.name


def _with_metadata(obj: Obj, **changes: Any) -> Obj:
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update=changes)})
