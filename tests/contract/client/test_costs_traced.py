"""What spans of OpenTelemetry tell of a run's calls, each counted once."""

import pytest
from openai import OpenAI
from opentelemetry.trace import Status, StatusCode, Tracer

from tests.contract.client.learners import Connect, ready
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.usage import ASK, CHAT_USD, PRICES, USAGE, client, costs, models, tracer

__all__ = ["client", "models", "tracer"]  # fixtures


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
    ],
)
def test_spans_of_the_present_and_the_older_convention(
    api: StandInApi, connect: Connect, tracer: Tracer, sent: str, made: str
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
    api: StandInApi, connect: Connect, tracer: Tracer
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
    api: StandInApi, connect: Connect, tracer: Tracer
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
    api: StandInApi, connect: Connect, tracer: Tracer
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
    api: StandInApi, connect: Connect, tracer: Tracer
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
    api: StandInApi, connect: Connect, client: OpenAI, tracer: Tracer, named: bool
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
