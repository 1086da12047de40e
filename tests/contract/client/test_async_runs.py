"""Runs of coroutines are reported, cancelled or not, and the event loop goes on meanwhile."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from learnops.client import AsyncRun
from learnops.client.segment import Segment
from tests.contract.client.coroutines import DEADLINE_SECONDS, Open, connect, until
from tests.contract.client.handler import Handler
from tests.contract.client.stand_in import StandInApi

__all__ = ["connect"]  # fixtures


async def test_a_block_reports_its_exception_and_lets_it_pass(
    api: StandInApi, connect: Open
) -> None:
    learner = await connect()
    with pytest.raises(RuntimeError, match="hunter2"):
        async with learner.run(run_id="r", tenant="acme"):
            raise RuntimeError("password hunter2")
    async with learner.run(run_id="good") as run:
        await run.finish(metrics={"grounding": 1.0})
    async with await learner.start(run_id="silent"):
        pass
    await (await learner.start(run_id="told")).fail("tool timed out")
    assert await learner.flush(60)
    assert api.runs["r"]["qav"] == {"error": "RuntimeError"}
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": False}]
    assert api.runs["r"]["tenant"] == "acme"
    assert api.runs["good"]["metrics"] == {"grounding": 1.0}
    assert api.runs["silent"]["metrics"] == {}
    assert api.runs["told"]["qav"] == {"error": "tool timed out"}


async def test_a_cancelled_block_is_a_failed_run(api: StandInApi, connect: Open) -> None:
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
    assert await learner.flush(60)
    assert api.runs["r"]["qav"] == {"error": "CancelledError"}


async def test_a_decorated_coroutine_is_a_run(api: StandInApi, connect: Open) -> None:
    learner = await connect()

    @learner.agent(tenant=lambda task, **_: f"of-{task}", session="s")
    async def plan(run: AsyncRun, task: str, *, loud: bool) -> str:
        """Plans."""
        await run.finish(metrics={"grounding": 0.5})
        return f"{run.policy.name}:{task}:{loud}"

    assert await plan("bridge", loud=True) == "planner-v1:bridge:True"
    assert (plan.__name__, plan.__doc__) == ("plan", "Plans.")
    assert await learner.flush(60)
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
    api: StandInApi, connect: Open
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


async def test_closing_drains_and_leaves_the_loop_free(api: StandInApi, connect: Open) -> None:
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


async def test_loops_in_many_threads_share_a_learner(api: StandInApi, connect: Open) -> None:
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
    api: StandInApi, connect: Open, hanging_disk: threading.Event
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
    api: StandInApi, connect: Open, hanging_disk: threading.Event
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
from tests.patience import PATIENT
learner = AsyncLearner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)

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
async def test_a_forked_child_works_and_sends_nothing_twice(api: StandInApi) -> None:
    api.serve(percent=50)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FORK, api.url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    expected = {"parent-before", "parent-after", "child-0", "child-1", "child-2"}
    assert set(api.runs) == expected
    assert sum(api.batches) == len(expected)
