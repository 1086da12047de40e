"""Agents that are coroutines: the event loop goes on, whatever the api does."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from learnops.client import AsyncLearner, AsyncRun, Learner, Options
from learnops.client.segment import Segment
from tests.contract.client.api import Api, Handler, content
from tests.contract.client.test_routing import ASSIGNMENTS, LOADED_MACHINE_SECONDS, unit

Open = Callable[..., Awaitable[AsyncLearner]]
DEADLINE_SECONDS = 20.0


@pytest.fixture
async def connect(api: Api) -> AsyncIterator[Open]:
    """Make learners that know a revision, closed in the end."""
    async with AsyncExitStack() as stack:

        async def make(revision: int | None = 1, **given: Any) -> AsyncLearner:
            bounds = {"registration_seconds": 5.0, "close_seconds": 0.5}
            options = Options(**{**bounds, **given.pop("options", {})})
            arguments = {"api": api.url, "namespace": "agents", **given}
            learner = AsyncLearner("planner", options=options, **arguments)
            await stack.enter_async_context(learner)
            if revision is not None:
                await until(lambda: learner.stats()["revision"] == revision)
            return learner

        yield make


async def until(check: Callable[[], object]) -> None:
    """Wait in the loop until something holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not check():  # noqa: ASYNC110 - what it looks at changes in threads
            await asyncio.sleep(0.005)


class Held:
    """Registrations that the api answers when it is told to."""

    def __init__(self, api: Api) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        api.misbehave[ASSIGNMENTS] = self._hold

    def _hold(self, handler: Handler) -> None:
        self.asked.set()
        self.go_on.wait(DEADLINE_SECONDS)
        handler.behave(ASSIGNMENTS)


async def test_the_loop_goes_on_while_a_registration_is_awaited(api: Api, connect: Open) -> None:
    """The api answers only after the loop did: a start that blocked it would end with control."""
    api.serve(percent=50)
    learner = await connect(2)
    held = Held(api)
    starting = asyncio.create_task(learner.start(run_id=unit("candidate")))
    await until(held.asked.is_set)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not starting.done()
    held.go_on.set()
    run = await starting
    assert (run.arm, run.propensity) == ("candidate", 0.5)
    assert run.id in api.registered


async def test_the_loop_goes_on_while_the_first_snapshot_is_awaited(
    api: Api, connect: Open
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def late(handler: Handler) -> None:
        asked.set()
        go_on.wait(DEADLINE_SECONDS)
        handler.behave("/v1/snapshot")

    api.misbehave["/v1/snapshot"] = late
    learner = await connect(None, options={"first_snapshot_seconds": DEADLINE_SECONDS})
    starting = asyncio.create_task(learner.start())
    await until(asked.is_set)
    assert not starting.done()
    go_on.set()
    assert (await starting).policy.name == "planner-v1"


async def test_concurrent_starts_share_a_round_trip(api: Api, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2)
    held = Held(api)
    starting = [asyncio.create_task(learner.start()) for _ in range(200)]
    await until(lambda: learner.stats().get("runs_started") == 200)
    held.go_on.set()
    runs = await asyncio.gather(*starting)
    assert {run.id for run in runs} == set(api.registered)
    assert len(api.registrations) <= 2


async def test_a_dead_api_gives_control_within_the_bound(api: Api, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2, options={"registration_seconds": 0.25})
    api.stop()
    loop = asyncio.get_running_loop()
    began = loop.time()
    runs = await asyncio.gather(*(learner.start() for _ in range(50)))
    assert loop.time() - began < 0.25 + LOADED_MACHINE_SECONDS
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}


async def test_without_any_snapshot_the_default_policy(api: Api, connect: Open) -> None:
    api.stop()
    learner = await connect(
        None, options={"first_snapshot_seconds": 0.05}, default_policy=content("0.9.0")
    )
    assert (await learner.start()).model == "model-0.9.0"


async def test_a_cancelled_start_is_withdrawn_when_its_registration_arrives(
    api: Api, connect: Open
) -> None:
    api.serve(percent=50)
    learner = await connect(2)
    held = Held(api)
    starting = asyncio.create_task(learner.start(run_id="r"))
    await until(held.asked.is_set)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert api.voided == []
    held.go_on.set()
    await until(lambda: api.voided == ["r"])


async def test_a_start_given_up_after_its_answer_is_withdrawn_too(api: Api) -> None:
    """The answer is there, and the loop has not come to it when the task is cancelled."""
    api.serve(percent=50)
    with Learner("planner", api=api.url, namespace="agents") as learner:
        steps = learner.starting(tenant=None, run_id="r", session=None)
        for wait in steps:
            wait.signal.wait(DEADLINE_SECONDS)
            if "r" in api.registered:
                break
        steps.close()
        await until(lambda: api.voided == ["r"])


async def test_a_start_cancelled_by_a_timeout_leaves_the_others(api: Api, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2)
    held = Held(api)
    patient = asyncio.create_task(learner.start(run_id="patient"))
    await until(held.asked.is_set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await learner.start(run_id="hasty")
    held.go_on.set()
    assert (await patient).propensity == 0.5
    assert await learner.flush(DEADLINE_SECONDS)
    assert set(api.registered) == {"patient"}  # the hasty one was never sent
    assert api.voided == []


async def test_a_block_reports_its_exception_and_lets_it_pass(api: Api, connect: Open) -> None:
    learner = await connect()
    with pytest.raises(RuntimeError, match="hunter2"):
        async with learner.run(run_id="r", tenant="acme"):
            raise RuntimeError("password hunter2")
    async with learner.run(run_id="good") as run:
        await run.finish(metrics={"grounding": 1.0})
    async with await learner.start(run_id="silent"):
        pass
    await (await learner.start(run_id="told")).fail("tool timed out")
    assert await learner.flush(10)
    assert api.runs["r"]["qav"] == {"error": "RuntimeError"}
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": False}]
    assert api.runs["r"]["tenant"] == "acme"
    assert api.runs["good"]["metrics"] == {"grounding": 1.0}
    assert api.runs["silent"]["metrics"] == {}
    assert api.runs["told"]["qav"] == {"error": "tool timed out"}


async def test_a_cancelled_block_is_a_failed_run(api: Api, connect: Open) -> None:
    learner = await connect()
    inside = asyncio.Event()

    async def agent() -> None:
        async with learner.run(run_id="r"):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(agent())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await learner.flush(10)
    assert api.runs["r"]["qav"] == {"error": "CancelledError"}


async def test_a_decorated_coroutine_is_a_run(api: Api, connect: Open) -> None:
    learner = await connect()

    @learner.agent(tenant=lambda task, **_: f"of-{task}", session="s")
    async def plan(run: AsyncRun, task: str, *, loud: bool) -> str:
        """Plans."""
        await run.finish(metrics={"grounding": 0.5})
        return f"{run.policy.name}:{task}:{loud}"

    assert await plan("bridge", loud=True) == "planner-v1:bridge:True"
    assert (plan.__name__, plan.__doc__) == ("plan", "Plans.")
    assert await learner.flush(10)
    (told,) = api.runs.values()
    assert told["tenant"] == "of-bridge"


async def test_only_a_coroutine_function_is_decorated(connect: Open) -> None:
    learner = await connect()

    def plan(run: AsyncRun) -> None:
        """Never called."""

    async def parts(run: AsyncRun) -> AsyncIterator[str]:
        yield "never"

    with pytest.raises(TypeError, match="must decorate a coroutine function: use Learner"):
        learner.agent(plan)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="returns its answer"):
        learner.agent(parts)  # type: ignore[call-overload]


async def test_the_candidate_of_a_shadow_stage_runs_in_the_same_loop(
    api: Api, connect: Open
) -> None:
    api.shadow = "planner-v2"
    api.misbehave["/v1/shadows"] = lambda handler: handler.answer(
        200, {"opened": handler.body["runIds"]}
    )
    told: list[dict[str, Any]] = []

    def report(handler: Handler) -> None:
        told.extend(handler.body["runs"])
        handler.answer(200, {"results": [{"runId": "r", "status": "accepted"}]})

    api.misbehave["/v1/shadows:report"] = report
    learner = await connect()
    ran: list[tuple[str, bool, asyncio.AbstractEventLoop]] = []

    @learner.agent
    async def plan(run: AsyncRun) -> str:
        ran.append((run.policy.name, run.dry_run, asyncio.get_running_loop()))
        await run.finish(metrics={"grounding": 0.5})
        return run.policy.name

    assert await plan() == "planner-v1"
    assert await learner.flush(DEADLINE_SECONDS)
    loop = asyncio.get_running_loop()
    assert ran == [("planner-v1", False, loop), ("planner-v2", True, loop)]
    assert [(one["policy"], one["metrics"]) for one in told] == [("planner-v2", {"grounding": 0.5})]


async def test_closing_drains_and_leaves_the_loop_free(api: Api, connect: Open) -> None:
    learner = await connect(options={"batch_seconds": 30.0, "close_seconds": DEADLINE_SECONDS})
    asked, go_on = threading.Event(), threading.Event()

    def slow(handler: Handler) -> None:
        asked.set()
        go_on.wait(DEADLINE_SECONDS)
        handler.behave("/v1/runs:batch")

    api.misbehave["/v1/runs:batch"] = slow
    async with learner.run(run_id="r") as run:
        await run.finish(metrics={"grounding": 1.0})
    closing = asyncio.create_task(learner.close())
    await until(asked.is_set)
    assert not closing.done()
    go_on.set()
    await closing
    assert set(api.runs) == {"r"}


async def test_loops_in_many_threads_share_a_learner(api: Api, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2)

    async def agent() -> str:
        async with learner.run() as run:
            await run.finish(metrics={"grounding": 1.0})
        return run.id

    async def agents() -> list[str]:
        return await asyncio.gather(*(agent() for _ in range(50)))

    batches = await asyncio.gather(
        *(asyncio.to_thread(asyncio.run, agents()) for _ in range(4)), agents()
    )
    ids = {one for batch in batches for one in batch}
    assert await learner.flush(DEADLINE_SECONDS)
    assert len(ids) == 250
    assert set(api.runs) == ids


@pytest.fixture
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nothing is written until this is set."""
    answers = threading.Event()
    append = Segment.append

    def hang(segment: Segment, records: Any) -> None:
        answers.wait(DEADLINE_SECONDS)
        append(segment, records)

    monkeypatch.setattr(Segment, "append", hang)
    return answers


async def test_the_loop_goes_on_while_a_bundle_is_written(
    api: Api, connect: Open, hanging_disk: threading.Event
) -> None:
    learner = await connect(options={"spool_seconds": DEADLINE_SECONDS})
    run = await learner.start(run_id="r")
    finishing = asyncio.create_task(run.finish(metrics={"grounding": 1.0}))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not finishing.done()
    hanging_disk.set()
    await finishing
    assert await learner.flush(DEADLINE_SECONDS)
    assert set(api.runs) == {"r"}
    assert learner.stats()["bundles_spooled"] == 1
    assert "bundles_unspooled" not in learner.stats()


async def test_a_finish_that_is_cancelled_has_reported(
    api: Api, connect: Open, hanging_disk: threading.Event
) -> None:
    learner = await connect(options={"spool_seconds": DEADLINE_SECONDS})
    run = await learner.start(run_id="r")
    run.signal("compile", True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await run.finish(metrics={"grounding": 1.0})
    assert await learner.flush(DEADLINE_SECONDS)  # from memory, as the disk still hangs
    assert set(api.runs) == {"r"}
    assert [(run_id, len(signals)) for run_id, signals in api.signals] == [("r", 1)]
    assert "spool_stalls" not in learner.stats()  # the disk had its time
    hanging_disk.set()


FORK = """
import asyncio, os, sys
from learnops.client import AsyncLearner
learner = AsyncLearner("planner", api=sys.argv[1], namespace="agents")

async def agent(run_id):
    async with learner.run(run_id=run_id) as run:
        await run.finish(metrics={"grounding": 1.0})

async def agents(*run_ids):
    await asyncio.gather(*(agent(run_id) for run_id in run_ids))
    await learner.close()

asyncio.run(agent("parent-before"))
child = os.fork()
if child == 0:
    asyncio.run(agents("child-0", "child-1", "child-2"))
    os._exit(0 if learner.stats()["bundles_accepted"] == 3 else 1)
asyncio.run(agents("parent-after"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")
async def test_a_forked_child_works_and_sends_nothing_twice(api: Api) -> None:
    api.serve(percent=50)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FORK, api.url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    expected = {"parent-before", "parent-after", "child-0", "child-1", "child-2"}
    assert set(api.runs) == expected
    assert sum(api.batches) == len(expected)
