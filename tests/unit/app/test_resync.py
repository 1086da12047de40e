"""The relist: by its period, and when a gap of the watch asks for it."""

import asyncio
from typing import Any

from learnops.app.cache import ObjectCache
from learnops.app.resync import Resync
from learnops.domain.observed import Key
from learnops.domain.plan import EmitEvent, SetFinalizer
from learnops.ports.kube import KubeUnavailableError
from tests.unit.app.fakes import FakeClock

KEY = Key(namespace="agents", doer="planner")


def raw(name: str, *, version: int = 1) -> dict[str, Any]:
    metadata = {"namespace": "agents", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"kind": "Doer", "metadata": metadata, "spec": {}}


class Listing:
    """What a list shows; every other port of the cluster is out of reach."""

    def __init__(self, *doers: dict[str, Any]) -> None:
        self.doers = list(doers)
        self.lists = 0
        self.failing = 0

    async def list(self, *, kind: str) -> list[dict[str, Any]]:
        if self.failing > 0:
            self.failing -= 1
            raise KubeUnavailableError("away")
        self.lists += kind == "Doer"
        return self.doers if kind == "Doer" else []

    async def replace_status(self, **_: Any) -> dict[str, Any]:
        raise AssertionError

    async def set_finalizer(self, *, namespace: str, action: SetFinalizer) -> dict[str, Any]:
        raise AssertionError

    async def create(
        self, *, kind: str, namespace: str, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        raise AssertionError

    async def emit(self, *, namespace: str, event: EmitEvent) -> None:
        raise AssertionError


class Running:
    """A resync on a clock that jumps; `asked_for` are the keys it wants looked at, and when."""

    def __init__(self, listing: Listing) -> None:
        self.clock = FakeClock()
        self.cache = ObjectCache()
        self.news: asyncio.Queue[tuple[Key, float, float]] = asyncio.Queue()
        self.resync = Resync(
            kube=listing,
            cache=self.cache,
            add_after=lambda key, seconds: self.news.put_nowait(
                (key, seconds, self.clock.seconds - 1000.0)
            ),
            chance=lambda: 0.5,
            period_seconds=300.0,
            wait=self.clock.wait,
        )

    async def first(self) -> tuple[Key, float, float]:
        """The first key that is to be looked at: which, how soon, and when that was known."""
        task = asyncio.create_task(self.resync.run())
        try:
            return await asyncio.wait_for(self.news.get(), timeout=60)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_what_was_deleted_in_a_gap_is_looked_at_at_once() -> None:
    running = Running(Listing())
    running.cache.put(raw("planner"))
    running.resync.ask()
    assert await running.first() == (KEY, 0.0, 0.5)
    assert not running.cache.knows(KEY)


async def test_a_relist_that_was_asked_for_is_tried_until_it_succeeds() -> None:
    listing = Listing()
    listing.failing = 2
    running = Running(listing)
    running.cache.put(raw("planner"))
    running.resync.ask()
    key, _seconds, at = await running.first()
    assert key == KEY
    assert at < 30.0, "long before the period"


async def test_by_its_period_it_looks_at_every_key_by_and_by() -> None:
    running = Running(Listing(raw("planner")))
    running.cache.put(raw("planner"))
    assert await running.first() == (KEY, 30.0, 300.0)
