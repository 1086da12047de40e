"""Sources that nobody configured: they say so, and what needs them holds."""

from learnops.api.doer import Doer
from learnops.domain.observed import RouteReading
from learnops.domain.outcome import ErrorReason
from learnops.domain.plan import PatchRoute
from learnops.ports.metrics import CounterSample, MetricsUnavailableError
from learnops.ports.traffic import RouteUnavailableError


class NoPrometheus:
    """The `Metrics` port of an operator that was given no Prometheus."""

    async def evidence_counters(self) -> list[CounterSample]:
        """Always MetricsUnavailableError."""
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_UNAVAILABLE,
            "the operator was given no Prometheus; set --prometheus-url",
        )


class NoRoute:
    """The `Route` port of an operator that knows no gateway: such doers keep the traffic they have.

    Both methods always raise RouteUnavailableError.
    """

    async def read(self, *, doer: Doer) -> RouteReading:
        """No route can be read."""
        raise RouteUnavailableError(_no_gateway(doer))

    async def patch(self, *, doer: Doer, action: PatchRoute) -> None:
        """No route can be patched."""
        raise RouteUnavailableError(f"{_no_gateway(doer)} ({action.weights} not set)")


def _no_gateway(doer: Doer) -> str:
    return f"{doer.metadata.name}: this operator has no gateway; set spec.traffic.router to SDK"
