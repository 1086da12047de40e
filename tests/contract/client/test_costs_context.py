"""Spans and calls belong to the run in whose block they began: threads, coroutines, forks."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from openai import AsyncOpenAI
from opentelemetry import context as otel_context
from opentelemetry.trace import Tracer, set_span_in_context

from learnops.client import AsyncLearner
from learnops.client.context import current
from tests.contract.client.learners import Connect, ready
from tests.contract.client.models import Models
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.usage import ASK, CHAT_USD, PRICES, USAGE, costs, models, tracer

__all__ = ["models", "tracer"]  # fixtures


def test_spans_belong_to_the_run_in_whose_block_they_began(
    api: StandInApi, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with tracer.start_as_current_span("chat") as outside:
        with learner.run(run_id="outer") as outer:
            with learner.run(run_id="inner") as inner:
                with tracer.start_as_current_span("chat") as span:
                    span.set_attributes(USAGE)
                inner.finish()
            with tracer.start_as_current_span("chat") as span:
                span.set_attributes({**USAGE, "gen_ai.usage.input_tokens": 700})
            outer.finish()
        outside.set_attributes(USAGE)
    assert costs(api, learner, "inner")["inputTokens"] == 1000
    assert costs(api, learner, "outer")["inputTokens"] == 700


def test_generators_that_take_turns_leave_no_run_behind(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())

    def steps(run_id: str) -> Iterator[None]:
        with learner.run(run_id=run_id) as run:
            yield
            run.record_usage(model="small", input_tokens=7, output_tokens=1)
            run.finish()

    with learner.run(run_id="around") as around:
        first, second = steps("first"), steps("second")
        for each in (first, second, first, second):
            next(each, None)
        assert current() is around.running
        around.finish()
    assert current() is None
    assert learner.flush(60)
    assert [api.runs[each]["costs"]["inputTokens"] for each in ("first", "second")] == [7, 7]


def test_a_span_may_end_in_another_thread(
    api: StandInApi, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with ThreadPoolExecutor(1) as pool, learner.run(run_id="r") as run:
        span = tracer.start_span("chat")
        span.set_attributes(USAGE)
        pool.submit(span.end).result(20)

        def call() -> None:
            with tracer.start_as_current_span("chat") as inner:
                inner.set_attributes(USAGE)

        pool.submit(copy_context().run, call).result(20)
        pool.submit(call).result(20)  # without the context nobody knows whose it is
        run.finish()
    assert costs(api, learner)["modelCalls"] == 2


def test_a_nested_instrumentation_that_ends_after_its_parent(
    api: StandInApi, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        parent = tracer.start_span("execute_tool")
        child = tracer.start_span("chat", context=set_span_in_context(parent))
        child.set_attributes(USAGE)
        parent.end()
        child.end()
        run.finish()
    assert costs(api, learner)["modelCalls"] == 1
    assert otel_context.get_current() == {}


async def test_concurrent_coroutines_have_their_own_costs(
    api: StandInApi, models: Models, tracer: Tracer
) -> None:
    learner = AsyncLearner("planner", api=api.url, namespace="agents", prices=PRICES)
    both = asyncio.Barrier(2)

    @learner.agent
    async def plan(run: Any, calls: int) -> str:
        await both.wait()  # each call of one agent is between those of the other
        for _ in range(calls):
            with tracer.start_as_current_span("chat") as span:
                run.record_response(await client.chat.completions.create(**ASK))
                span.set_attributes(USAGE)
        await run.finish()
        return str(run.id)

    async with (
        learner,
        AsyncOpenAI(base_url=models.url, api_key="none", max_retries=0) as client,
    ):
        few, many = await asyncio.gather(plan(2), plan(5))
        assert await learner.flush(60)
    assert api.runs[few]["costs"]["modelCalls"] == 2
    assert api.runs[many]["costs"]["modelCalls"] == 5
    assert api.runs[many]["costs"]["costUSD"] == pytest.approx(5 * CHAT_USD)


FORK = """
import os, sys, threading
from opentelemetry.sdk.trace import TracerProvider
from learnops.client import Learner
from learnops.client.context import current
from learnops.client.otel import RunUsageProcessor
from tests.patience import PATIENT

processor = RunUsageProcessor()
provider = TracerProvider()
provider.add_span_processor(processor)
tracer = provider.get_tracer("tests")
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
holds, go_on = threading.Event(), threading.Event()

def hold():
    with processor._lock:
        holds.set()
        go_on.wait(60)

threading.Thread(target=hold, daemon=True).start()
holds.wait(60)
child = os.fork()
if child == 0:
    with learner.run(run_id="r") as run:
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes({"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 1})
        run.finish()
    learner.close()
    os._exit(0)
go_on.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_was_forked_while_a_span_began_is_not_held_up(api: StandInApi) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert api.runs["r"]["costs"]["inputTokens"] == 7
