"""Answers to guardrails' queries: one question for all, and nothing unknown becomes a figure."""

import asyncio
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import pytest

from learnops.app.evidence.queries import GuardrailQueries, QueryTick, rendered, the_one
from learnops.domain.observed import QueryReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.metrics import CounterSample, MetricsUnavailableError, QuerySample
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import KEY, canary, doer

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = {
    "namespace": "agents",
    "doer": "planner",
    "canary": "c1",
    "candidate": "v2",
    "control": "v1",
}
OWN = {"namespace": "agents", "doer": "planner", "canary": "c1", "policy": "v2"}


def series(value: float, **labels: str) -> QuerySample:
    return QuerySample(labels=labels, value=value, at=AT)


class Prometheus:
    """Answers what it was told to, and remembers the questions."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, int]] = []
        self.told: list[QuerySample] | MetricsUnavailableError = [series(1.5)]
        self.silent = asyncio.Event()
        self.silent.set()

    async def evidence_counters(self) -> list[CounterSample]:
        raise NotImplementedError

    async def query(self, promql: str, *, lookback_seconds: int) -> list[QuerySample]:
        self.questions.append((promql, lookback_seconds))
        await self.silent.wait()
        if isinstance(self.told, MetricsUnavailableError):
            raise self.told
        return self.told


@pytest.fixture
def prometheus() -> Prometheus:
    return Prometheus()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tick(prometheus: Prometheus, clock: FakeClock) -> QueryTick:
    return QueryTick(metrics=prometheus, clock=clock, max_age_seconds=9)


@pytest.fixture
def queries(tick: QueryTick) -> GuardrailQueries:
    return GuardrailQueries(tick=tick, deadline_seconds=60)


def guarded(promql: str = "latency", **analysis: Any) -> Any:
    return canary(guardrails=[{"name": "p95", "promQL": promql, "max": "2"}], **analysis)


async def test_one_question_for_all_canaries_of_a_tick(
    queries: GuardrailQueries, prometheus: Prometheus, clock: FakeClock
) -> None:
    asked = [
        queries.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2") for _ in range(50)
    ]
    answers = await asyncio.gather(*asked)
    assert answers == [{"p95": QueryReading(value=1.5, at=AT)}] * 50
    assert prometheus.questions == [("latency", 60)]
    clock.advance(8.9)
    await queries.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2")
    assert len(prometheus.questions) == 1
    clock.advance(0.2)
    await queries.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2")
    assert len(prometheus.questions) == 2


async def test_another_text_or_another_staleness_is_another_question(
    queries: GuardrailQueries, prometheus: Prometheus
) -> None:
    for one in (guarded("up"), guarded("down"), guarded("up", maxStalenessSeconds=30)):
        await queries.read(key=KEY, doer=doer(), canary=one, candidate="v2")
    assert prometheus.questions == [("up", 60), ("down", 60), ("up", 30)]


async def test_a_failure_is_data_and_shared(
    queries: GuardrailQueries, prometheus: Prometheus
) -> None:
    prometheus.told = MetricsUnavailableError(ErrorReason.PROMETHEUS_PARTIAL, "a store is away")
    expected = Unavailable(reason=ErrorReason.PROMETHEUS_PARTIAL, message="a store is away")
    for _ in range(2):
        found = await queries.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2")
        assert found == {"p95": expected}
    assert len(prometheus.questions) == 1


async def test_who_waits_too_long_leaves_the_answer_to_the_others(
    queries: GuardrailQueries, tick: QueryTick, prometheus: Prometheus
) -> None:
    prometheus.silent.clear()
    hurried = GuardrailQueries(tick=tick, deadline_seconds=0.05)
    found = await hurried.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2")
    assert isinstance(found["p95"], Unavailable)
    assert found["p95"].reason is ErrorReason.PROMETHEUS_UNAVAILABLE
    prometheus.silent.set()
    found = await queries.read(key=KEY, doer=doer(), canary=guarded(), candidate="v2")
    assert found == {"p95": QueryReading(value=1.5, at=AT)}
    assert len(prometheus.questions) == 1


async def test_each_candidate_is_asked_for_by_its_own_name(
    queries: GuardrailQueries, prometheus: Prometheus
) -> None:
    prometheus.told = [series(1.5, policy="v2"), series(2.5, policy="v3")]
    one = guarded('x{p="$(candidate)"}')
    found = [
        await queries.read(key=KEY, doer=doer(), canary=one, candidate=it) for it in ("v2", "v3")
    ]
    assert [it["p95"].value for it in found] == [1.5, 2.5]
    assert prometheus.questions == [('x{p="v2"}', 60), ('x{p="v3"}', 60)]


def test_placeholders_are_names() -> None:
    text = 'x{n="$(namespace)",d="$(doer)",c="$(canary)"} / on() y{p=~"$(candidate)|$(control)$"}'
    expected = 'x{n="agents",d="planner",c="c1"} / on() y{p=~"v2|v1$"}'
    assert rendered(text, names=NAMES) == expected


MINE = [
    ([series(2.0)], 2.0),
    ([series(2.0, **OWN), series(9.0, **{**OWN, "policy": "v1"})], 2.0),
    ([series(2.0, doer="planner"), series(9.0, doer="coder")], 2.0),
    ([series(2.0, namespace="monitoring", exported_namespace="agents")], 2.0),
    ([series(0.0, instance="a")], 0.0),
]
UNKNOWN = [
    ([], ErrorReason.NO_DATA, "the query has no answer"),
    ([series(1.0, policy="v1"), series(1.0, policy="v3")], ErrorReason.NO_DATA, "2 series, none"),
    ([series(1.0, exported_doer="coder", doer="planner")], ErrorReason.NO_DATA, 'doer="planner"'),
    ([series(1.0, instance="a"), series(1.0, instance="b")], ErrorReason.AMBIGUOUS_SERIES, "2 se"),
    ([series(nan)], ErrorReason.NOT_A_NUMBER, "is nan"),
    ([series(inf)], ErrorReason.NOT_A_NUMBER, "is inf"),
    ([series(-inf)], ErrorReason.NOT_A_NUMBER, "is -inf"),
]


@pytest.mark.parametrize(("told", "value"), MINE)
def test_the_candidates_own_series_is_its_figure(told: list[QuerySample], value: float) -> None:
    assert the_one(told, names=NAMES) == QueryReading(value=value, at=AT)


@pytest.mark.parametrize(("told", "reason", "words"), UNKNOWN)
def test_what_is_not_one_finite_figure_is_none(
    told: list[QuerySample], reason: ErrorReason, words: str
) -> None:
    found = the_one(told, names=NAMES)
    assert isinstance(found, Unavailable)
    assert found.reason is reason
    assert words in found.message
