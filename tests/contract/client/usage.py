"""What calls of models cost in these tests, and how they are made."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from learnops.client import Learner
from learnops.client.otel import RunUsageProcessor
from tests.contract.client.models import Models
from tests.contract.client.stand_in import StandInApi

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


def costs(api: StandInApi, learner: Learner, run_id: str = "r") -> dict[str, Any]:
    assert learner.flush(60)
    told: dict[str, Any] = api.runs[run_id]["costs"]
    return told
