"""Every change of a namespace's objects, in order, as a watch tells it."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from testbed.errors import TestbedError
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from testbed.watcher import Watcher
from tests.integration.objects import Objects

_PLURALS = ("doers", "policies", "canarydeployments")
_NEWS_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a doer served from one revision on."""

    revision: int
    salt: str
    percents: dict[str, int]


class Changes:
    """Keeps all that the watches of one namespace deliver. `start` and `stop` it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._seen: list[tuple[str, Json]] = []
        self._changed = threading.Condition()
        self._watchers = [
            Watcher(
                objects.api,
                objects.path(plural),
                lambda _kind, item, plural=plural: self._keep(plural, item),
                name=plural,
            )
            for plural in _PLURALS
        ]

    def start(self) -> None:
        """Begin to watch."""
        for watcher in self._watchers:
            watcher.start()

    def stop(self) -> None:
        """End the watches, each of them even where one does not end well."""
        with ExitStack() as ended:
            for watcher in self._watchers:
                ended.callback(watcher.stop)

    def wait(self, count: int, *, seconds: float, stop_at: str = "") -> bool:
        """Whether so many changes came within `seconds`, or one of the kind `stop_at`."""
        with self._changed:
            start = len(self._seen)

            def enough() -> bool:
                new = self._seen[start:]
                return len(new) >= count or any(plural == stop_at for plural, _ in new)

            return self._changed.wait_for(enough, timeout=seconds)

    def wait_for(
        self, check: Callable[[], bool], *, what: str, seconds: float, explain: Callable[[], str]
    ) -> None:
        """Wait until it is true of what was delivered: looked at now and with each change."""
        with self._changed:
            found = self._changed.wait_for(check, timeout=seconds)
        if not found:
            raise TestbedError(f"waited {seconds:g} s for {what}:\n{explain()}")

    def catch_up(self, *plurals: str) -> None:
        """Wait until it has what is stored now, of all kinds or of these.

        A watch tells a little later what a GET shows at once.
        """
        for plural in plurals or _PLURALS:
            wait_until(
                lambda plural=plural: self._versions(plural) <= {*map(_version, self.of(plural))},
                what=f"the news of all {plural}",
                deadline_seconds=_NEWS_SECONDS,
            )

    def of(self, plural: str, name: str | None = None) -> list[Json]:
        """Every state of the objects of a kind, or of one, in the order they were stored; those
        that were delivered, see `catch_up`."""
        with self._changed:
            seen = list(self._seen)
        return [
            item
            for found, item in seen
            if found == plural and (name is None or item["metadata"]["name"] == name)
        ]

    def shares(self, doer: str) -> list[Share]:
        """What the doer has served until now, one entry for each change of it; checks that
        revisions rise."""
        self.catch_up("doers")
        served: list[Share] = []
        for item in self.of("doers", doer):
            traffic = item.get("status", {}).get("traffic")
            if traffic is None:
                continue
            share = Share(
                revision=traffic["revision"],
                salt=traffic.get("salt", ""),
                percents={one["policy"]: one["percent"] for one in traffic["shares"]},
            )
            if served and share == served[-1]:
                continue
            if served and share.revision != served[-1].revision + 1:
                raise TestbedError(f"{doer}: {share} follows {served[-1]}")
            served.append(share)
        return served

    def ramp(self, doer: str, policy: str) -> list[int]:
        """The shares of a policy until now, one after the other, from its first one on."""
        percents = [share.percents.get(policy, 0) for share in self.shares(doer)]
        first = next((index for index, percent in enumerate(percents) if percent), len(percents))
        return percents[first:]

    def _versions(self, plural: str) -> set[str]:
        """Those of the objects as they are stored."""
        return {*map(_version, self._objects.api.get(self._objects.path(plural))["items"])}

    def _keep(self, plural: str, item: Json) -> None:
        with self._changed:
            self._seen.append((plural, item))
            self._changed.notify_all()


def _version(item: Json) -> str:
    version: str = item["metadata"]["resourceVersion"]
    return version
