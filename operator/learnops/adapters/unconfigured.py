"""Sources that nobody configured: they say so, and what needs them holds."""

from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError, QuerySample


class NoPrometheus:
    """The `Metrics` port of an operator that was given no Prometheus."""

    async def evidence_counters(self) -> list[CounterSample]:
        """Always MetricsUnavailableError."""
        raise _none()

    async def query(
        self,
        promql: str,  # noqa: ARG002 - the port's
        *,
        lookback_seconds: int,  # noqa: ARG002 - the port's
    ) -> list[QuerySample]:
        """Always MetricsUnavailableError."""
        raise _none()


def _none() -> MetricsUnavailableError:
    return MetricsUnavailableError(
        ErrorReason.PROMETHEUS_UNAVAILABLE,
        "the operator was given no Prometheus; set --prometheus-url",
    )
