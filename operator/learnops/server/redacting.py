"""Personal data is taken out of a bundle before anything else sees it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from learnops.api.doer import Doer
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.redaction.redactor import InvalidPatternError, Redactor, characters
from learnops.server.beside import LARGE_BYTES, Beside
from learnops.server.metrics import Metrics
from learnops.server.models import Bundle, LargeBundle
from learnops.server.state import State

_REDACTORS = 1000
_AT_ONCE: Final = LARGE_BYTES  # characters that are gone through in one step of the loop
_WITHHELD: Final = "[withheld]"
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
    """Redacts by the built-in patterns and those of the run's doer.

    Where that doer is not known, neither are its own patterns: what an agent chose freely is then
    left out, whatever stands in it.
    """

    def __init__(self, *, state: State, metrics: Metrics, beside: Beside) -> None:
        self._state = state
        self._metrics = metrics
        self._beside = beside
        self._built_in = Redactor()
        self._own: dict[str, tuple[int, Redactor]] = {}  # doer uid -> generation, redactor

    async def clean(self, bundles: Sequence[Bundle]) -> list[Bundle | InvalidMetric]:
        """Each bundle without personal data, or why that cannot be: the doer's own patterns cannot
        be used. Nothing is stored unredacted.

        Numbers upon numbers take up to a microsecond a character. So a large bundle is done beside
        the loop, and after some small ones others have their turn.
        """
        cleaned: list[Bundle | InvalidMetric] = []
        done = 0
        for bundle in bundles:
            try:
                redactor = self._redactor((bundle.namespace, bundle.doer))
            except InvalidMetric as error:
                cleaned.append(error)
                continue
            if isinstance(bundle, LargeBundle):
                work = partial(_searched, bundle, redactor)
                cleaned.append(self._noted(*await self._beside.run(bundle.namespace, work)))
                continue
            if redactor is not None and not _may_find(redactor, bundle):
                cleaned.append(bundle)
                continue
            cleaned.append(self._noted(*_cleaned(bundle, redactor)))
            done += characters(_free_of(bundle))
            if done > _AT_ONCE:
                done = 0
                await asyncio.sleep(0)  # others' turn
        return cleaned

    async def once(self, bundle: Bundle) -> Bundle | None:
        """As it was kept while its doer was known, unless that one had patterns of its own: by this
        a repeat is told from another report, and it is stored never. None of a known doer."""
        if self._state.doers.get((bundle.namespace, bundle.doer)) is not None:
            return None
        work = partial(_searched, bundle, self._built_in)
        if isinstance(bundle, LargeBundle):
            kept, _ = await self._beside.run(bundle.namespace, work)
            return kept
        kept, _ = work()
        await asyncio.sleep(0)  # others' turn
        return kept

    def kinds_in(self, doer: tuple[str, str], text: str) -> list[str]:
        """The kinds of personal data in a text that must stay. Raises what `clean` tells."""
        found: Counter[str] = Counter()
        (self._redactor(doer) or self._built_in).text(text, found=found)
        return sorted(found)

    def texts(self, doer: tuple[str, str], texts: Sequence[str]) -> list[str]:
        """Texts without personal data; `doer` is namespace and name. Raises as `kinds_in` does."""
        redactor = self._redactor(doer)
        if redactor is None:
            return [""] * len(texts)
        found: Counter[str] = Counter()
        cleaned = [redactor.text(text, found=found) for text in texts]
        if found:
            self._metrics.redacted(found)
        return cleaned

    def _noted(self, kept: Bundle, found: Counter[str]) -> Bundle:
        if found:
            self._metrics.redacted(found)
        return kept

    def _redactor(self, name: tuple[str, str]) -> Redactor | None:
        """The doer's; None for one that nobody knows."""
        doer = self._state.doers.get(name)
        if doer is None:
            return None
        if not doer.spec.redaction.patterns:
            return self._built_in
        held = self._own.get(doer.metadata.uid)
        if held is None or held[0] != doer.metadata.generation:
            if len(self._own) >= _REDACTORS:
                self._own.clear()
            held = self._own[doer.metadata.uid] = (doer.metadata.generation, _of(doer))
        return held[1]


def _free_of(bundle: Bundle) -> dict[str, Any]:
    return {name: value for name in _FREE_CONTENT if (value := getattr(bundle, name)) is not None}


def _searched(bundle: Bundle, redactor: Redactor | None) -> tuple[Bundle, Counter[str]]:
    if redactor is not None and not _may_find(redactor, bundle):
        return bundle, Counter()
    return _cleaned(bundle, redactor)


def _cleaned(bundle: Bundle, redactor: Redactor | None) -> tuple[Bundle, Counter[str]]:
    """What may be stored of it, and what was taken out."""
    found: Counter[str] = Counter()
    return _withheld(bundle) if redactor is None else _clean(bundle, redactor, found), found


def _may_find(redactor: Redactor, bundle: Bundle) -> bool:
    gates = [gate.name for gate in bundle.gates]
    return redactor.may_find(_free_of(bundle), names=(*bundle.metrics, *bundle.costs, *gates))


def _clean(bundle: Bundle, by: Redactor, found: Counter[str]) -> Bundle:
    cleaned = {name: by.content(value, found=found) for name, value in _free_of(bundle).items()}
    cleaned |= _names_of(bundle, by=by, found=found)
    return bundle.model_copy(update=cleaned) if found else bundle


def _withheld(bundle: Bundle) -> Bundle:
    """The bundle with nothing but what we read."""
    kept: dict[str, Any] = {
        field: {name: value for name, value in getattr(bundle, field).items() if name in _READ}
        for field in _NUMBERS
    }
    gates = [gate.model_copy(update={"name": _WITHHELD}) for gate in bundle.gates]
    return bundle.model_copy(update=kept | {"gates": gates, "qav": {}, "artifacts": []})


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
