"""From the answer of Prometheus' query API to the series of a guardrail's query."""

from datetime import UTC, datetime
from typing import Any

from learnops.adapters.prometheus_answer import bad_answer, vector_of
from learnops.ports.metrics import QuerySample


def read_samples(status: int, body: bytes) -> list[QuerySample]:
    """Each series of the answer, in its order; an empty answer is none, and no error.

    Raises:
        MetricsUnavailableError: the answer as a whole cannot be trusted.
    """
    return [_sample(entry) for entry in vector_of(status, body)]


def _sample(entry: Any) -> QuerySample:
    try:
        labels = {str(name): str(value) for name, value in entry["metric"].items()}
        at, text = entry["value"]
        instant = datetime.fromtimestamp(float(at), UTC)
        return QuerySample(labels=labels, value=float(text), at=instant)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise bad_answer(
            f"Prometheus' answer holds no sample where one should be: {error!r:.80}"
        ) from error
