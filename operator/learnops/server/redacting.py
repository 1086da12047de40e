"""Personal data is taken out of a bundle before anything else sees it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from learnops.api.doer import Doer
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.redaction.redactor import InvalidPatternError, Redactor
from learnops.server.metrics import Metrics
from learnops.server.models import Bundle
from learnops.server.state import State

_REDACTORS = 1000
_FREE_CONTENT = ("qav", "artifacts")
"""What is kept of a bundle and no code of ours interprets. Ids, the tenant and numbers are needed
as they are."""
_NUMBERS = ("metrics", "costs")
"""What holds numbers by names that an agent chooses, of which we read the following."""
_READ = frozenset(
    {
        "gatePassRate",
        "contradictions",
        "grounding",
        "costUSD",
        "latencyP95Milliseconds",
        "securityCriticals",
        "apiBreakages",
        "dbMigrationFail",
        "ragCoverage",
    }
)


class Redacting:
    """Redacts by the built-in patterns and those of the run's doer."""

    def __init__(self, *, state: State, metrics: Metrics) -> None:
        self._state = state
        self._metrics = metrics
        self._built_in = Redactor()
        self._own: dict[str, tuple[int, Redactor]] = {}  # doer uid -> generation, redactor

    def clean(self, bundle: Bundle) -> Bundle:
        """The bundle without personal data.

        Raises:
            InvalidMetric: the doer's own patterns cannot be used. Nothing is stored unredacted.
        """
        free = {
            name: value for name in _FREE_CONTENT if (value := getattr(bundle, name)) is not None
        }
        redactor = self._redactor((bundle.namespace, bundle.doer))
        gates = [gate.name for gate in bundle.gates]
        if not redactor.may_find(free, names=(*bundle.metrics, *bundle.costs, *gates)):
            return bundle
        found: Counter[str] = Counter()
        cleaned = {name: redactor.content(value, found=found) for name, value in free.items()}
        cleaned |= _names_of(bundle, by=redactor, found=found)
        if not found:
            return bundle
        self._metrics.redacted(found)
        return bundle.model_copy(update=cleaned)

    def kinds_in(self, doer: tuple[str, str], text: str) -> list[str]:
        """The kinds of personal data in a text that must stay. Raises as `clean` does."""
        found: Counter[str] = Counter()
        self._redactor(doer).text(text, found=found)
        return sorted(found)

    def texts(self, doer: tuple[str, str], texts: Sequence[str]) -> list[str]:
        """Texts without personal data; `doer` is namespace and name. Raises as `clean` does."""
        redactor = self._redactor(doer)
        found: Counter[str] = Counter()
        cleaned = [redactor.text(text, found=found) for text in texts]
        if found:
            self._metrics.redacted(found)
        return cleaned

    def _redactor(self, name: tuple[str, str]) -> Redactor:
        doer = self._state.doers.get(name)
        if doer is None or not doer.spec.redaction.patterns:
            return self._built_in
        held = self._own.get(doer.metadata.uid)
        if held is None or held[0] != doer.metadata.generation:
            if len(self._own) >= _REDACTORS:
                self._own.clear()
            held = self._own[doer.metadata.uid] = (doer.metadata.generation, _of(doer))
        return held[1]


def _names_of(bundle: Bundle, *, by: Redactor, found: Counter[str]) -> dict[str, Any]:
    """Those of the named things that were sent, under names without personal data."""
    cleaned: dict[str, Any] = {}
    for field in _NUMBERS:
        numbers = getattr(bundle, field)
        read = {name: value for name, value in numbers.items() if name in _READ}
        rest = {name: value for name, value in numbers.items() if name not in _READ}
        if rest:
            cleaned[field] = read | dict(
                zip(by.names(rest, found=found), rest.values(), strict=True)
            )
    if bundle.gates:
        cleaned["gates"] = [
            gate.model_copy(update={"name": by.text(gate.name, found=found)})
            for gate in bundle.gates
        ]
    return cleaned


def _of(doer: Doer) -> Redactor:
    try:
        return Redactor({it.name: it.pattern for it in doer.spec.redaction.patterns})
    except InvalidPatternError as error:
        detail = f"spec.redaction.patterns of doer {doer.metadata.name}: {error}"
        raise InvalidMetric(field="doer", detail=detail) from error
