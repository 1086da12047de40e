"""kopf on the real API server: what happens to objects reaches the cache and the queue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.kube.connection import Credentials, credentials
from learnops.adapters.kube.writer import KubeWriter
from learnops.app.cache import ObjectCache
from learnops.app.intake import Intake
from learnops.app.queue import WorkQueue
from learnops.domain.observed import Key
from learnops.handlers.supervisor import Supervisor
from learnops.handlers.watch import KopfSession
from tests.integration.objects import Objects

DEADLINE_SECONDS = 60.0


class Watching:
    """A cache and a queue that kopf feeds; `until` waits for what a test expects of them."""

    def __init__(self) -> None:
        self.cache = ObjectCache()
        self.queue: WorkQueue[Key] = WorkQueue(
            monotonic=SystemClock().monotonic, chance=lambda: 0.0
        )
        self._intake = Intake(cache=self.cache, queue=self.queue)
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, event: str | None, raw: dict[str, object]) -> None:
        self._intake.receive(event, raw)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, expected: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), self._news:
            await self._news.wait_for(expected)

    def names(self, key: Key) -> set[str]:
        found = self.cache.objects_of(key)
        raws = [*found.policies, *found.canaries, *([found.doer] if found.doer else [])]
        return {raw["metadata"]["name"] for raw in raws}

    def taken(self) -> set[Key]:
        keys = set()
        while (key := self.queue.take()) is not None:
            keys.add(key)
            self.queue.done(key)
        return keys

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def watched(kubeconfig: Path, namespace: str) -> AsyncIterator[Watching]:
    watching = Watching()
    session = KopfSession(
        receive=watching.receive,
        login=partial(credentials, kubeconfig=kubeconfig),
        namespaces=(namespace,),
    )
    task = asyncio.create_task(session.run())
    try:
        yield watching
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_objects_that_come_change_and_go(
    operator_kubeconfig: Path, objects: Objects, kube: KubeWriter
) -> None:
    key = Key(namespace=objects.namespace, doer="planner")
    objects.doer()
    async with watched(operator_kubeconfig, objects.namespace) as watching:
        await watching.until(lambda: watching.names(key) == {"planner"})
        raw = objects.policy()
        await watching.until(lambda: watching.names(key) == {"planner", "planner-v1"})
        objects.canary()
        await watching.until(lambda: watching.names(key) == {"planner", "planner-v1", "c1"})
        assert watching.taken() == {key}
        own = await kube.replace_status(
            kind="Policy",
            namespace=objects.namespace,
            name="planner-v1",
            uid=raw["metadata"]["uid"],
            resource_version=raw["metadata"]["resourceVersion"],
            status={"fence": 1, "stage": "Draft"},
        )
        assert watching.cache.put(own) <= {key}
        objects.delete("canarydeployments", "c1")
        await watching.until(lambda: watching.names(key) == {"planner", "planner-v1"})
        status = watching.cache.objects_of(key).policies[0]["status"]
        assert status["stage"] == "Draft"


async def test_it_writes_nothing_into_objects(operator_kubeconfig: Path, objects: Objects) -> None:
    raw = objects.doer()
    key = Key(namespace=objects.namespace, doer="planner")
    async with watched(operator_kubeconfig, objects.namespace) as watching:
        await watching.until(lambda: watching.names(key) == {"planner"})
        objects.policy()
        await watching.until(lambda: "planner-v1" in watching.names(key))
    after = objects.get("doers", "planner")
    assert after["metadata"]["resourceVersion"] == raw["metadata"]["resourceVersion"]
    assert objects.events("planner") == []


async def test_the_supervisor_brings_the_watch_back(
    operator_kubeconfig: Path, objects: Objects
) -> None:
    key = Key(namespace=objects.namespace, doer="planner")
    watching = Watching()
    logins: list[Credentials] = []

    async def log_in() -> Credentials:
        found = await credentials(kubeconfig=operator_kubeconfig)
        if not logins:
            found = replace(found, authorization="Bearer nonsense")
        logins.append(found)
        return found

    async def session() -> BaseException | None:
        return await KopfSession(
            receive=watching.receive, login=log_in, namespaces=(objects.namespace,)
        ).run()

    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    supervisor = Supervisor(
        session=session, clock=SystemClock(), sleep=no_pause, chance=lambda: 0.0
    )
    task = asyncio.create_task(supervisor.run())
    try:
        objects.doer()
        await watching.until(lambda: watching.names(key) == {"planner"})
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert len(logins) >= 2


@pytest.mark.parametrize("count", [300])
async def test_many_objects_arrive_soon(
    count: int, operator_kubeconfig: Path, objects: Objects
) -> None:
    key = Key(namespace=objects.namespace, doer="planner")
    for number in range(count):
        objects.policy(f"planner-v{number}")
    async with watched(operator_kubeconfig, objects.namespace) as watching:
        await watching.until(lambda: len(watching.names(key)) == count)
