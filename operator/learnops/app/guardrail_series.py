"""Series of the guardrails of live canaries; as many as the specs name, and none of ended ones."""

from math import exp

from prometheus_client import CollectorRegistry, Gauge

from learnops.api.canary import CanaryDeployment
from learnops.api.guardrails import on_queries
from learnops.domain.arms import candidates_of
from learnops.domain.observed import EValue, EvidenceReading, Key, QueryReading, Snapshot

_LABELS = ("namespace", "doer", "canary", "policy", "guardrail")
_MAX_LOG = 700.0  # exp of more is not a float


def shown(value: EValue) -> float:
    """The e-value as a finite number."""
    return exp(min(value.log_e, _MAX_LOG))


class GuardrailSeries:
    """Guardrails on terms with their e-values, guardrails on queries with their answers."""

    def __init__(self, *, registry: CollectorRegistry) -> None:
        self._evidence = Gauge(
            "learnops_canary_guardrail_evidence",
            "E-value of a guardrail on a term",
            (*_LABELS, "decision"),
            registry=registry,
        )
        self._value = Gauge(
            "learnops_canary_guardrail_value",
            "Answer to a guardrail's query; absent where there is none",
            _LABELS,
            registry=registry,
        )
        self._breaches = Gauge(
            "learnops_canary_guardrail_breaches",
            "Answers above a guardrail's max, in a row, as the status had them before this look",
            _LABELS,
            registry=registry,
        )

    def show(self, snapshot: Snapshot, canary: CanaryDeployment) -> None:
        """What is known of a live canary's guardrails now, for each of its candidates."""
        for candidate in candidates_of(canary):
            labels = (
                snapshot.key.namespace,
                snapshot.key.doer,
                canary.metadata.name,
                candidate,
            )
            reading = snapshot.evidence.get(candidate)
            if isinstance(reading, EvidenceReading):
                for it in reading.guardrails:
                    self._evidence.labels(*labels, it.term, "rollback").set(shown(it.rollback))
                    self._evidence.labels(*labels, it.term, "promote").set(shown(it.promote))
            self._show_queries(snapshot, canary, labels=labels)

    def _show_queries(
        self, snapshot: Snapshot, canary: CanaryDeployment, *, labels: tuple[str, str, str, str]
    ) -> None:
        candidate = labels[-1]
        answers = snapshot.queries.get(candidate, {})
        counted = {
            it.name: it
            for one in canary.status.candidates
            for it in one.queries
            if one.name == candidate
        }
        for guardrail in on_queries(canary.spec.analysis.guardrails):
            answer, known = answers.get(guardrail.name), counted.get(guardrail.name)
            full = (*labels, guardrail.name)
            self._breaches.labels(*full).set(known.breaches if known else 0)
            if isinstance(answer, QueryReading):
                self._value.labels(*full).set(answer.value)
            else:  # the last one would look like one of now
                self._value.remove_by_labels(dict(zip(_LABELS, full, strict=True)))

    def hide(self, key: Key, canary: str) -> None:
        """Drop the series of a canary that is not live any more."""
        labels = {"namespace": key.namespace, "doer": key.doer, "canary": canary}
        for gauge in (self._evidence, self._value, self._breaches):
            gauge.remove_by_labels(labels)
