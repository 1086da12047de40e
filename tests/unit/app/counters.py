"""A Prometheus whose answer the test gives, and the evidence that is read of it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from learnops.app.evidence.counters import CounterEvidence, CounterTick
from learnops.domain.observed import EvidenceReading
from learnops.ports.metrics import CounterSample, MetricsUnavailableError, QuerySample
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import KEY, canary, doer


class Answers:
    """A source of samples: what the last question would be answered, and how many there were."""

    def __init__(self) -> None:
        self.questions = 0
        self.samples: list[CounterSample] = []
        self.error: MetricsUnavailableError | None = None

    async def evidence_counters(self) -> list[CounterSample]:
        self.questions += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.samples

    async def query(self, promql: str, *, lookback_seconds: int) -> list[QuerySample]:
        raise NotImplementedError


def sample(arm: str, count: int, loss: float, *, revision: int = 5, **change: Any) -> CounterSample:
    made = CounterSample(
        process="a1",
        namespace="agents",
        doer="planner",
        policy="v2" if arm == "candidate" else "v1",
        arm=arm,
        revision=revision,
        runs=float(count),
        loss_sum=count * loss,
        loss_sumsq=count * loss * loss,
        age_seconds=1.0,
        timeouts=0.0,
        prefix_lag_seconds=1.5,
    )
    return replace(made, **change)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def evidence(answers: Answers) -> CounterEvidence:
    return CounterEvidence(tick=CounterTick(metrics=answers, clock=FakeClock(), max_age_seconds=-1))


async def read(evidence: CounterEvidence, *, of: Any, served: Any = None) -> Any:
    return await evidence.read(key=KEY, doer=served or doer(), canary=of)


async def state_after(evidence: CounterEvidence, *, of: Any, served: Any = None) -> Any:
    """A good reading, and the canary as the status write leaves it."""
    found = await read(evidence, of=of, served=served)
    assert isinstance(found, EvidenceReading), found
    return found, canary(state=found.state)
