"""What a run's calls of models cost, by the answers that the agent records."""

from typing import Any

import pytest
from openai import OpenAI

from tests.contract.client.learners import Connect, ready
from tests.contract.client.models import Models
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.usage import ASK, CHAT_USD, PRICES, RESPONSE_USD, client, costs, models

__all__ = ["client", "models"]  # fixtures


def test_a_chat_completion_costs_what_its_usage_and_the_prices_say(
    api: StandInApi, connect: Connect, client: OpenAI
) -> None:
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


def test_every_kind_of_call_is_counted_once_and_priced(
    api: StandInApi, connect: Connect, client: OpenAI
) -> None:
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
    api: StandInApi, connect: Connect, client: OpenAI
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
    api: StandInApi,
    models: Models,
    connect: Connect,
    client: OpenAI,
    caplog: pytest.LogCaptureFixture,
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


def test_the_agents_own_costs_override(api: StandInApi, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.record_response(client.chat.completions.create(**ASK))
        run.finish(costs={"costUSD": 7.5, "searches": 3})
    told = costs(api, learner)
    assert (told["costUSD"], told["searches"], told["inputTokens"]) == (7.5, 3, 1000)


def test_what_the_agent_counts_itself(api: StandInApi, connect: Connect) -> None:
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
def test_an_id_that_is_no_text_is_none(api: StandInApi, connect: Connect, wrong: Any) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        for _ in range(2):
            run.record_usage(model="small", input_tokens=10, output_tokens=1, response_id=wrong)
        run.finish()
    assert costs(api, learner)["modelCalls"] == 2


def test_a_call_after_the_report_is_late(api: StandInApi, connect: Connect, client: OpenAI) -> None:
    learner = ready(connect(prices=PRICES))
    with learner.run(run_id="r") as run:
        run.finish()
        run.record_response(client.chat.completions.create(**ASK))
    assert costs(api, learner) == {}
    assert learner.stats()["usage_late"] == 1
