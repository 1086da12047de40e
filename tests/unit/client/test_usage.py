"""What the model calls of a run used and cost: each call once, and nothing unknown for free."""

import decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from learnops.client.prices import Prices
from learnops.client.usage import Call, Ledger, Source

PRICES = Prices.of(
    {
        "small": {"input": "0.15", "output": "0.60", "cached_input": "0.075"},
        "large": {"input": "2.50", "output": "10"},
        "large-2026-01-31": {"input": "3", "output": "12"},
    }
)


def call(sent: int = 1000, made: int | None = 100, *, model: str = "small", **given: Any) -> Call:
    return Call(models=(model,), input_tokens=sent, output_tokens=made, **given)


def ledger(*told: tuple[Call, Source]) -> Ledger:
    made = Ledger()
    for one, source in told:
        made.add(one, source)
    return made


def test_no_call_no_costs() -> None:
    assert Ledger().costs(PRICES) == {}


def test_tokens_and_the_price_of_each_model() -> None:
    told = ledger((call(), "response"), (call(200, 10, model="large"), "response"))
    assert told.costs(PRICES) == {
        "modelCalls": 2,
        "inputTokens": 1200,
        "outputTokens": 110,
        # (1000*0.15 + 100*0.60 + 200*2.50 + 10*10) / 1e6
        "costUSD": 0.00081,
    }


def test_cached_tokens_have_their_own_price_where_there_is_one() -> None:
    small = ledger((call(cached_input_tokens=400), "span")).costs(PRICES)
    assert small["cachedInputTokens"] == 400
    assert small["costUSD"] == pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6)
    large = ledger((call(model="large", cached_input_tokens=400), "span")).costs(PRICES)
    assert large["costUSD"] == pytest.approx((1000 * 2.5 + 100 * 10) / 1e6)


def test_costs_are_exact_whatever_decimal_context_the_agent_has() -> None:
    price = PRICES.find(["small"])
    assert price is not None
    with decimal.localcontext() as context:
        context.prec, context.traps[decimal.Inexact] = 2, True
        assert price.cost(input_tokens=1, output_tokens=1) == Fraction(75, 10**8)


def test_a_model_without_a_price_makes_the_cost_unknown_and_never_zero() -> None:
    told = ledger((call(), "response"), (call(50, 5, model="unheard-of"), "response"))
    assert told.costs(PRICES) == {
        "modelCalls": 2,
        "inputTokens": 1050,
        "outputTokens": 105,
        "unpricedTokens": 55,
    }
    assert "costUSD" not in ledger((call(model=""), "span")).costs(PRICES)


def test_without_prices_only_tokens() -> None:
    assert ledger((call(), "response")).costs(None) == {
        "modelCalls": 1,
        "inputTokens": 1000,
        "outputTokens": 100,
    }


def test_output_that_is_not_told_makes_the_cost_unknown() -> None:
    told = ledger((call(made=None), "span")).costs(PRICES)
    assert (told["unpricedTokens"], "costUSD" in told) == (1000, False)


def test_a_dated_name_has_the_price_of_its_model_or_its_own() -> None:
    assert PRICES.find(["small-2026-01-31"]) == PRICES.find(["small"])
    assert PRICES.find(["small-20260131"]) == PRICES.find(["small"])
    assert PRICES.find(["large-2026-01-31"]) != PRICES.find(["large"])
    assert PRICES.find(["unheard-of", "large"]) == PRICES.find(["large"])
    assert PRICES.find(["smaller"]) is None
    assert PRICES.find([]) is None


A, B = {"response_id": "a"}, {"response_id": "b"}
SAME: dict[str, tuple[list[tuple[Call, Source]], int]] = {
    "by id": ([(call(**A), "span"), (call(**A), "response")], 1),
    "by id with other numbers": ([(call(999, 99, **A), "span"), (call(**A), "response")], 1),
    "a stream's totals": ([(call(10, 1, **A), "response"), (call(**A), "response")], 1),
    "by numbers, no ids": ([(call(), "span"), (call(), "response")], 1),
    "by numbers, one id": ([(call(), "span"), (call(**A), "response")], 1),
    "two calls alike, no ids": ([(call(), "span"), (call(), "span")], 2),
    "two calls alike, told twice": (
        [(call(), "span"), (call(), "span"), (call(), "response"), (call(), "response")],
        2,
    ),
    "two ids": ([(call(**A), "span"), (call(**B), "response")], 2),
    "one matched, one more": (
        [(call(), "span"), (call(**A), "response"), (call(**B), "response")],
        2,
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_a_call_that_is_told_twice_counts_once_in_any_order(case: str) -> None:
    told, calls = SAME[case]
    for order in permutations(told):
        costs = ledger(*order).costs(PRICES)
        assert (costs["modelCalls"], costs["inputTokens"]) == (calls, calls * 1000)


def test_a_silent_call_makes_the_cost_unknown() -> None:
    told = ledger((call(), "response"))
    told.add_silent("response")
    costs = told.costs(PRICES)
    assert (costs["modelCalls"], costs["callsWithoutUsage"]) == (2, 1)
    assert "costUSD" not in costs
    assert costs["inputTokens"] == 1000


def test_a_silent_span_may_be_of_a_call_whose_response_told() -> None:
    told = ledger((call(), "response"))
    told.add_silent("span")
    assert told.costs(PRICES)["modelCalls"] == 1
    told.add_silent("span")
    assert told.costs(PRICES)["callsWithoutUsage"] == 1


def test_a_stream_that_never_tells_its_usage_is_silent() -> None:
    told = Ledger()
    told.begin_stream("a")
    told.begin_stream("a")
    assert told.costs(PRICES)["callsWithoutUsage"] == 1
    told.add(call(**A), "response")
    assert told.costs(PRICES)["modelCalls"] == 1
    assert "callsWithoutUsage" not in told.costs(PRICES)


def test_a_run_of_too_many_calls_has_no_known_cost() -> None:
    told = Ledger()
    for number in range(10_001):
        told.add(call(response_id=str(number)), "response")
    costs = told.costs(PRICES)
    assert costs["modelCalls"] == 10_000
    assert "costUSD" not in costs


WRONG: dict[str, Any] = {
    "no output": {"input": "1"},
    "another field": {"input": "1", "output": "1", "batch": "1"},
    "no mapping": "1",
    "a float": {"input": 0.1, "output": "1"},
    "a boolean": {"input": True, "output": "1"},
    "a word": {"input": "cheap", "output": "1"},
    "negative": {"input": "-1", "output": "1"},
    "not a number": {"input": "NaN", "output": "1"},
    "without end": {"input": "Infinity", "output": "1"},
    "too much": {"input": "1e7", "output": "1"},
    "too fine": {"input": "1e-99999", "output": "1"},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_price_is_named(case: str) -> None:
    with pytest.raises(ValueError, match=r"prices\['m'\].* must "):
        Prices.of({"m": WRONG[case]})
