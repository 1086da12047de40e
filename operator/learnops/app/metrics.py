"""What the operator says of itself to Prometheus. Bounded: series of ended canaries disappear."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from learnops.api.canary import CanaryDeployment, CanaryStage, Verdict
from learnops.app.canary_series import CanarySeries
from learnops.app.evidence.reading import candidate_percent
from learnops.app.guardrail_series import GuardrailSeries, shown
from learnops.domain.arms import candidates_of
from learnops.domain.observed import EValue, EvidenceReading, Key, ShadowReading, Snapshot
from learnops.domain.planner.traffic import WITH_TRAFFIC

_DOER = ("namespace", "doer")
_CANARY = (*_DOER, "canary")
_CANDIDATE = (*_CANARY, "policy")
_ENDS = (
    (CanaryStage.PROMOTED, Verdict.PROMOTE),
    (CanaryStage.ROLLED_BACK, Verdict.ROLLBACK),
    (CanaryStage.ROLLED_BACK, Verdict.FUTILE),
)


class OperatorMetrics:
    """The operator's series in a registry of their own."""

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        self._make_passes()
        self._make_ends()
        self._weight = self._gauge(
            "canary_weight", "Share of a candidate of a live canary in percent", _CANDIDATE
        )
        self._evidence = self._gauge(
            "canary_evidence",
            "E-value of a candidate of a live canary",
            (*_CANDIDATE, "decision"),
        )
        self._guardrails = GuardrailSeries(registry=self.registry)
        self._series = CanarySeries(registry=self.registry)
        info = self._gauge("build_info", "What is running", ("version", "component"))
        info.labels(version=version, component="operator").set(1)
        self._shown: dict[Key, set[str]] = {}

    def _make_passes(self) -> None:
        """What working through the queue is seen by."""
        self.reconciles = self._counter(
            "reconcile", "Passes over one key, by how they ended", ("kind", "result")
        )
        self.duration = Histogram(
            "learnops_reconcile_duration_seconds",
            "Time of one pass over one key",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
        )
        self.queue_depth = self._gauge("queue_depth", "Keys ready or being worked on")
        self.queue_oldest = self._gauge("queue_oldest_seconds", "Age of the oldest such key")
        self.requests = self._counter(
            "api_requests", "Requests to the API server", ("verb", "code")
        )
        # What alerts watch begins with 0: a counter that appears with 1 has not increased.
        for result in ("unavailable", "refused", "bug"):
            self.reconciles.labels(kind="Doer", result=result)

    def _make_ends(self) -> None:
        """What canaries and watches over drift came to."""
        self.verdicts = self._counter(
            "verdict",
            "Canaries of a doer that ended, by stage and verdict",
            (*_DOER, "stage", "verdict"),
        )
        self.promotions = self._counter("promotions", "Policies made active", ("by",))
        self.drift_alarms = self._counter(
            "drift_alarms", "Active policies whose loss has risen since their promotion"
        )
        for by in ("operator", "person"):  # from 0, as above
            self.promotions.labels(by=by)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"learnops_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"learnops_{name}", text, labels, registry=self.registry)

    def request(self, verb: str, code: str) -> None:
        """One request to the API server was answered, or not."""
        self.requests.labels(verb=verb, code=code).inc()

    def observed(self, snapshot: Snapshot) -> None:
        """Show the live canaries of a doer and no others."""
        live = [one for one in snapshot.canaries if one.status.stage in WITH_TRAFFIC]
        names = {one.metadata.name for one in live}
        for gone in self._shown.pop(snapshot.key, set()) - names:
            self._hide(snapshot.key, gone)
        if names:
            self._shown[snapshot.key] = names
        for canary in live:
            self._show(snapshot, canary)
        self._begin(snapshot, live=bool(live))

    def _begin(self, snapshot: Snapshot, *, live: bool) -> None:
        """Zeroes of a doer, as long as there is one."""
        doer = (snapshot.key.namespace, snapshot.key.doer)
        if live:
            for stage, verdict in _ENDS:
                self.verdicts.labels(*doer, stage.value, verdict.value)
        elif snapshot.doer is None:
            self.verdicts.remove_by_labels(dict(zip(_DOER, doer, strict=True)))

    def _show(self, snapshot: Snapshot, canary: CanaryDeployment) -> None:
        canary_labels = (snapshot.key.namespace, snapshot.key.doer, canary.metadata.name)
        for candidate in candidates_of(canary):
            labels = (*canary_labels, candidate)
            if snapshot.doer is not None:
                percent = candidate_percent(snapshot.doer, canary, candidate=candidate)
                self._weight.labels(*labels).set(percent)
            reading = snapshot.evidence.get(candidate)
            if isinstance(reading, EvidenceReading):
                for decision, value in _e_values(reading).items():
                    self._evidence.labels(*labels, decision).set(shown(value))
            elif isinstance(reading, ShadowReading):
                self._evidence.labels(*labels, "shadow").set(shown(reading.harm))
        self._guardrails.show(snapshot, canary)
        self._series.show(snapshot, canary)

    def _hide(self, key: Key, canary: str) -> None:
        labels = (key.namespace, key.doer, canary)
        for gauge in (self._weight, self._evidence):
            gauge.remove_by_labels(dict(zip(_CANARY, labels, strict=True)))
        self._guardrails.hide(key, canary)
        self._series.hide(key, canary)


def _e_values(reading: EvidenceReading) -> dict[str, EValue]:
    found = {"promote": reading.promote, "rollback": reading.rollback}
    if reading.futility is not None:
        found["futility"] = reading.futility
    if reading.sample_ratio is not None:
        found["sampleRatioAssigned"] = reading.sample_ratio.assigned
        found["sampleRatioCompleted"] = reading.sample_ratio.completed
    return found
