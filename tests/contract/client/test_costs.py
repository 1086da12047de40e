"""What a run cost, from the real OpenAI client and the real OpenTelemetry SDK."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from learnops.client import AsyncLearner, Learner
from learnops.client.context import current
from learnops.client.otel import RunUsageProcessor
from tests.contract.client.api import Api
from tests.contract.client.models import Models
from tests.contract.client.test_routing import Connect, ready

PRICES = {
    "small": {"input": "0.15", "output": "0.60", "cached_input": "0.075"},
    "embed": {"input": "0.02", "output": "0"},
}
ASK: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "A bridge?"}]}
CHAT_USD = (600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6
RESPONSE_USD = (500 * 0.15 + 50 * 0.60) / 1e6
USAGE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "small",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 400,
}


@pytest.fixture
def models() -> Iterator[Models]:
    served = Models()
    yield served
    served.stop()


@pytest.fixture
def client(models: Models) -> Iterator[OpenAI]:
    with OpenAI(base_url=models.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(RunUsageProcessor())
    yield provider.get_tracer("tests")
    provider.shutdown()


def costs(api: Api, learner: Learner, run_id: str = "r") -> dict[str, Any]:
    assert learner.flush(20)
    told: dict[str, Any] = api.runs[run_id]["costs"]
    return told


def test_a_chat_completion(api: Api, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.record_response(client.chat.completions.create(**ASK))
        run.finish(metrics={"grounding": 1.0})
    assert costs(api, learner) == {
        "modelCalls": 1,
        "inputTokens": 1000,
        "outputTokens": 100,
        "cachedInputTokens": 400,
        "costUSD": pytest.approx(CHAT_USD),
    }


def test_every_call_of_the_client(api: Api, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        chat = client.chat.completions.create(**ASK)
        run.record_response(chat)
        run.record_response(chat.model_dump())  # the same answer again, as a dict
        for chunk in client.chat.completions.create(
            **ASK, stream=True, stream_options={"include_usage": True}
        ):
            run.record_response(chunk)
        run.record_response(client.responses.create(model="small", input="A bridge?"))
        for event in client.responses.create(model="small", input="A bridge?", stream=True):
            run.record_response(event)
        run.record_response(client.embeddings.create(model="embed", input="A bridge?"))
        run.finish()
    told = costs(api, learner)
    assert (told["modelCalls"], told["inputTokens"]) == (5, 2 * 1000 + 2 * 500 + 8)
    expected = 2 * CHAT_USD + 2 * RESPONSE_USD + 8 * 0.02 / 1e6
    assert told["costUSD"] == pytest.approx(expected)


def test_a_stream_that_does_not_tell_makes_the_cost_unknown(
    api: Api, connect: Connect, client: OpenAI
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.record_response(client.chat.completions.create(**ASK))
        for chunk in client.chat.completions.create(**ASK, stream=True):
            run.record_response(chunk)
        run.finish()
    told = costs(api, learner)
    assert (told["modelCalls"], told["callsWithoutUsage"]) == (2, 1)
    assert "costUSD" not in told


def test_an_answer_without_usage_is_counted_and_named(
    api: Api, models: Models, connect: Connect, client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    models.usage = None
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.record_response(client.chat.completions.create(**ASK))
        run.record_response("what is this")
        run.finish()
    assert costs(api, learner) == {
        "modelCalls": 2,
        "inputTokens": 0,
        "outputTokens": 0,
        "callsWithoutUsage": 2,
    }
    assert learner.stats()["usage_unreadable"] == 2
    assert "(ChatCompletion) tells no token usage" in caplog.text


def test_the_agents_own_costs_override(api: Api, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.record_response(client.chat.completions.create(**ASK))
        run.finish(costs={"costUSD": 7.5, "searches": 3})
    told = costs(api, learner)
    assert (told["costUSD"], told["searches"], told["inputTokens"]) == (7.5, 3, 1000)


def test_what_the_agent_counts_itself(api: Api, connect: Connect) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        for _ in range(2):
            run.record_usage(model="small", input_tokens=10, output_tokens=1, response_id="a")
        run.finish()
    assert costs(api, learner)["costUSD"] == pytest.approx((10 * 0.15 + 0.60) / 1e6)
    with learner.run(run_id="odd") as run:
        run.record_usage(model="small", input_tokens=None, output_tokens=-1)  # type: ignore[arg-type]
        run.finish()
    assert costs(api, learner, "odd")["callsWithoutUsage"] == 1


@pytest.mark.parametrize("wrong", [["a"], {"id": "a"}, b"a", 7, ""])
def test_an_id_that_is_no_text_is_none(api: Api, connect: Connect, wrong: Any) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        for _ in range(2):
            run.record_usage(model="small", input_tokens=10, output_tokens=1, response_id=wrong)
        run.finish()
    assert costs(api, learner)["modelCalls"] == 2


def test_a_call_after_the_report_is_late(api: Api, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.finish()
        run.record_response(client.chat.completions.create(**ASK))
    assert costs(api, learner) == {}
    assert learner.stats()["usage_late"] == 1


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
    ],
)
def test_spans_of_the_present_and_the_older_convention(
    api: Api, connect: Connect, tracer: Tracer, sent: str, made: str
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        with tracer.start_as_current_span("chat small") as span:
            span.set_attributes({"gen_ai.request.model": "small", sent: 1000, made: 100})
        run.finish()
    assert costs(api, learner) == {
        "modelCalls": 1,
        "inputTokens": 1000,
        "outputTokens": 100,
        "costUSD": pytest.approx((1000 * 0.15 + 100 * 0.60) / 1e6),
    }


def test_the_models_of_request_and_response_are_both_looked_up(
    api: Api, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes({**USAGE, "gen_ai.response.model": "deployment-7"})
        with tracer.start_as_current_span("embeddings") as span:
            operation = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "embed"}
            span.set_attributes({**operation, "gen_ai.usage.input_tokens": 8})
        run.finish()
    assert costs(api, learner)["costUSD"] == pytest.approx(CHAT_USD + 8 * 0.02 / 1e6)


def test_an_agents_span_repeats_its_calls_and_counts_for_nothing(
    api: Api, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        with tracer.start_as_current_span("invoke_agent") as agent:
            for _ in range(2):
                with (
                    tracer.start_as_current_span("execute_tool"),
                    tracer.start_as_current_span("chat") as span,
                ):
                    span.set_attributes(USAGE)
            agent.set_attributes({**USAGE, "gen_ai.usage.input_tokens": 2000})
        run.finish()
    told = costs(api, learner)
    assert (told["modelCalls"], told["inputTokens"]) == (2, 2000)


def test_an_agents_span_counts_where_its_calls_are_not_traced(
    api: Api, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        with tracer.start_as_current_span("invoke_agent") as agent:
            with tracer.start_as_current_span("execute_tool"):
                pass
            agent.set_attributes(USAGE)
        run.finish()
    assert costs(api, learner)["inputTokens"] == 1000


def test_a_traced_call_without_usage_makes_the_cost_unknown_unless_it_failed(
    api: Api, connect: Connect, tracer: Tracer
) -> None:
    learner = ready(connect(prices=PRICES))
    silent = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small"}
    with learner.run(run_id="failed") as run:
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes(silent)
            span.set_status(Status(StatusCode.ERROR))
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes(USAGE)
        run.finish()
    assert costs(api, learner, "failed")["costUSD"] == pytest.approx(CHAT_USD)
    with learner.run(run_id="silent") as run:
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes(silent)
        run.finish()
    assert costs(api, learner, "silent")["callsWithoutUsage"] == 1


@pytest.mark.parametrize("named", [True, False])
def test_a_call_that_is_traced_and_recorded_counts_once(
    api: Api, connect: Connect, client: OpenAI, tracer: Tracer, named: bool
) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        for _ in range(3):
            with tracer.start_as_current_span("chat") as span:
                answer = client.chat.completions.create(**ASK)
                span.set_attributes(USAGE)
                if named:
                    span.set_attribute("gen_ai.response.id", answer.id)
                run.record_response(answer)
        run.finish()
    told = costs(api, learner)
    assert (told["modelCalls"], told["inputTokens"]) == (3, 3000)
    assert told["costUSD"] == pytest.approx(3 * CHAT_USD)


def test_spans_belong_to_the_run_in_whose_block_they_began(
    api: Api, connect: Connect, tracer: Tracer
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


def test_generators_that_take_turns_leave_no_run_behind(api: Api, connect: Connect) -> None:
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
    assert learner.flush(10)
    assert [api.runs[each]["costs"]["inputTokens"] for each in ("first", "second")] == [7, 7]


def test_a_span_may_end_in_another_thread(api: Api, connect: Connect, tracer: Tracer) -> None:
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
    api: Api, connect: Connect, tracer: Tracer
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
    api: Api, models: Models, tracer: Tracer
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
        assert await learner.flush(20)
    assert api.runs[few]["costs"]["modelCalls"] == 2
    assert api.runs[many]["costs"]["modelCalls"] == 5
    assert api.runs[many]["costs"]["costUSD"] == pytest.approx(5 * CHAT_USD)


FORK = """
import os, sys, threading
from opentelemetry.sdk.trace import TracerProvider
from learnops.client import Learner
from learnops.client.context import current
from learnops.client.otel import RunUsageProcessor

processor = RunUsageProcessor()
provider = TracerProvider()
provider.add_span_processor(processor)
tracer = provider.get_tracer("tests")
learner = Learner("planner", api=sys.argv[1], namespace="agents")
holds, go_on = threading.Event(), threading.Event()

def hold():
    with processor._lock:
        holds.set()
        go_on.wait(30)

threading.Thread(target=hold, daemon=True).start()
holds.wait(30)
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
def test_a_child_that_was_forked_while_a_span_began_is_not_held_up(api: Api) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, api.url], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert api.runs["r"]["costs"]["inputTokens"] == 7
