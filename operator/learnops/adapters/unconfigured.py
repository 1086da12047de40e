"""Sources that nobody configured: they say so, and what needs them holds."""

from learnops.domain.outcome import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError


class NoPrometheus:
    """The `Metrics` port of an operator that was given no Prometheus."""

    async def evidence_counters(self) -> list[CounterSample]:
        """Always MetricsUnavailableError."""
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_UNAVAILABLE,
            "the operator was given no Prometheus; set --prometheus-url",
        )
