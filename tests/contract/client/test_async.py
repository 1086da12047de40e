"""A run of a coroutine starts: the event loop goes on, whatever the api does."""

import asyncio
import threading

import pytest

from learnops.client import Learner
from tests.contract.client.coroutines import DEADLINE_SECONDS, Held, Open, connect, until
from tests.contract.client.handler import Handler
from tests.contract.client.learners import LOADED_MACHINE_SECONDS, unit
from tests.contract.client.stand_in import StandInApi, content

__all__ = ["connect"]  # fixtures


async def test_the_loop_goes_on_while_a_registration_is_awaited(
    api: StandInApi, connect: Open
) -> None:
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
    api: StandInApi, connect: Open
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


async def test_concurrent_starts_share_a_round_trip(api: StandInApi, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2)
    held = Held(api)
    starting = [asyncio.create_task(learner.start()) for _ in range(200)]
    await until(lambda: learner.stats().get("runs_started") == 200)
    held.go_on.set()
    runs = await asyncio.gather(*starting)
    assert {run.id for run in runs} == set(api.registered)
    assert len(api.registrations) <= 2


async def test_a_dead_api_gives_control_within_the_bound(api: StandInApi, connect: Open) -> None:
    api.serve(percent=50)
    learner = await connect(2, options={"registration_seconds": 0.25})
    api.stop()
    loop = asyncio.get_running_loop()
    began = loop.time()
    runs = await asyncio.gather(*(learner.start() for _ in range(50)))
    assert loop.time() - began < 0.25 + LOADED_MACHINE_SECONDS  # one after the other, 12.5 s
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}


async def test_without_any_snapshot_the_default_policy(api: StandInApi, connect: Open) -> None:
    api.stop()
    learner = await connect(
        None, options={"first_snapshot_seconds": 0.05}, default_policy=content("0.9.0")
    )
    assert (await learner.start()).model == "model-0.9.0"


async def test_a_cancelled_start_is_withdrawn_when_its_registration_arrives(
    api: StandInApi, connect: Open
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


async def test_a_start_given_up_after_its_answer_is_withdrawn_too(api: StandInApi) -> None:
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


async def test_a_start_cancelled_by_a_timeout_leaves_the_others(
    api: StandInApi, connect: Open
) -> None:
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
