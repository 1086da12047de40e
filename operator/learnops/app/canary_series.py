"""What is known of a live canary beside its e-values: the difference, and why nothing goes up."""

from prometheus_client import CollectorRegistry, Gauge

from learnops.api.canary import CanaryDeployment, Verdict
from learnops.domain.arms import candidates_of
from learnops.domain.observed import DifferenceReading, EvidenceReading, Key, Snapshot

_CANARY = ("namespace", "doer", "canary")
_RECONCILING = "Reconciling"


class CanarySeries:
    """Bounded: three bounds a candidate, one reason a canary, and none of ended ones."""

    def __init__(self, *, registry: CollectorRegistry) -> None:
        self._difference = Gauge(
            "learnops_canary_difference",
            "Mean loss of a candidate less control's: estimate, and the bounds that hold it with "
            "95 % at every look; below 0 is better",
            (*_CANARY, "policy", "bound"),
            registry=registry,
        )
        self._held = Gauge(
            "learnops_canary_held",
            "1 while a live canary holds and cannot tell; by the reason its status has",
            (*_CANARY, "reason"),
            registry=registry,
        )

    def show(self, snapshot: Snapshot, canary: CanaryDeployment) -> None:
        """What is known of a live canary now."""
        labels = _labels(snapshot.key, canary.metadata.name)
        for candidate in candidates_of(canary):
            reading = snapshot.evidence.get(candidate)
            told = reading.difference if isinstance(reading, EvidenceReading) else None
            self._show_difference({**labels, "policy": candidate}, told)
        # Another reason is another series; the last one must not stay beside it.
        self._held.remove_by_labels(labels)
        if canary.status.recommendation is Verdict.HOLD:
            self._held.labels(**labels, reason=_reason(canary)).set(1)

    def hide(self, key: Key, canary: str) -> None:
        """Drop the series of a canary that is not live any more."""
        for gauge in (self._difference, self._held):
            gauge.remove_by_labels(_labels(key, canary))

    def _show_difference(self, labels: dict[str, str], told: DifferenceReading | None) -> None:
        if told is None:  # the last one would look like one of now
            self._difference.remove_by_labels(labels)
            return
        for bound, value in (
            ("low", told.low),
            ("estimate", told.estimate),
            ("high", told.high),
        ):
            self._difference.labels(**labels, bound=bound).set(value)


def _labels(key: Key, canary: str) -> dict[str, str]:
    return {"namespace": key.namespace, "doer": key.doer, "canary": canary}


def _reason(canary: CanaryDeployment) -> str:
    """A word of the planner's, never a sentence."""
    found = (it.reason for it in canary.status.conditions if it.type == _RECONCILING)
    return next(found, "")
