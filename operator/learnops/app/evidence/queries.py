"""Answers to guardrails' queries: each query is asked once a tick for all canaries that have it."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.guardrails import PLACEHOLDERS, QueryGuardrail, on_queries
from learnops.domain.observed import Key, QueryAnswer, QueryReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.clock import Clock
from learnops.ports.metrics import Metrics, MetricsUnavailableError, QuerySample

# Longer, and an answer would be stale before it is passed on for the last time.
_LONGEST_SHARED_SECONDS = 30.0
# The labels that tell whose a series is, and which of the names they must be.
_OWNER = {"namespace": "namespace", "doer": "doer", "canary": "canary", "policy": "candidate"}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    at: float  # monotonic seconds
    answer: asyncio.Task[list[QuerySample]]


class QueryTick:
    """One question per query for everybody within `max_age_seconds`, failures included."""

    def __init__(self, *, metrics: Metrics, clock: Clock, max_age_seconds: float) -> None:
        self._metrics = metrics
        self._clock = clock
        self._max_age = min(max_age_seconds, _LONGEST_SHARED_SECONDS)
        self._asked: dict[tuple[str, int], _Asked] = {}

    async def answer(self, promql: str, *, lookback_seconds: int) -> list[QuerySample]:
        """The series; raises MetricsUnavailableError."""
        now, query = self._clock.monotonic(), (promql, lookback_seconds)
        self._forget(before=now - self._max_age)
        if query not in self._asked:
            asking = self._metrics.query(promql, lookback_seconds=lookback_seconds)
            self._asked[query] = _Asked(at=now, answer=asyncio.create_task(asking))
        # Shielded: the deadline of one asker must not take the answer from the others.
        return await asyncio.shield(self._asked[query].answer)

    def _forget(self, *, before: float) -> None:
        """Drop what is too old to pass on, so that queries of ended canaries do not pile up."""
        self._asked = {
            query: it
            for query, it in self._asked.items()
            if it.at >= before or not it.answer.done()
        }


@dataclass(frozen=True, kw_only=True)
class GuardrailQueries:
    """Reads the guardrails on queries of live canaries."""

    tick: QueryTick
    deadline_seconds: float = 5.0

    async def read(
        self, *, key: Key, doer: Doer, canary: CanaryDeployment, candidate: str
    ) -> dict[str, QueryAnswer]:
        """The answer to each for a candidate, by the guardrail's name; failures are data."""
        names = _names(key, doer, canary, candidate=candidate)
        lookback = canary.spec.analysis.max_staleness_seconds
        guardrails = on_queries(canary.spec.analysis.guardrails)
        asked = (self._ask(it, names=names, lookback_seconds=lookback) for it in guardrails)
        answers = await asyncio.gather(*asked)
        return {it.name: answer for it, answer in zip(guardrails, answers, strict=True)}

    async def _ask(
        self, guardrail: QueryGuardrail, *, names: Mapping[str, str], lookback_seconds: int
    ) -> QueryAnswer:
        promql = rendered(guardrail.promql, names=names)
        try:
            async with asyncio.timeout(self.deadline_seconds):
                series = await self.tick.answer(promql, lookback_seconds=lookback_seconds)
        except MetricsUnavailableError as error:
            return Unavailable(reason=error.reason, message=str(error))
        except TimeoutError:
            reason = ErrorReason.PROMETHEUS_UNAVAILABLE
            message = f"Prometheus did not answer within {self.deadline_seconds:g} s"
            return Unavailable(reason=reason, message=message)
        return the_one(series, names=names)


def rendered(promql: str, *, names: Mapping[str, str]) -> str:
    """The query with its placeholders replaced.

    Names are RFC 1123 labels, so they neither end a string nor mean anything in a regex.
    """
    for name in PLACEHOLDERS:
        promql = promql.replace(f"$({name})", names[name])
    return promql


def the_one(series: Iterable[QuerySample], *, names: Mapping[str, str]) -> QueryAnswer:
    """The one finite figure that an answer holds for the candidate, or why there is none."""
    told = list(series)
    own = [it for it in told if _is_of(it.labels, names)]
    if not own:
        return Unavailable(reason=ErrorReason.NO_DATA, message=_nothing(len(told), names))
    if len(own) > 1:
        message = f"{len(own)} series where one was expected; aggregate the others away"
        return Unavailable(reason=ErrorReason.AMBIGUOUS_SERIES, message=message)
    if not isfinite(own[0].value):
        return Unavailable(reason=ErrorReason.NOT_A_NUMBER, message=f"the answer is {own[0].value}")
    return QueryReading(value=own[0].value, at=own[0].at)


def _is_of(labels: Mapping[str, str], names: Mapping[str, str]) -> bool:
    """Whether no label says that the series is somebody else's."""
    # Where the scrape has a label of this name of its own, Prometheus renames the exporter's.
    told = {label: labels.get(f"exported_{label}", labels.get(label)) for label in _OWNER}
    return all(told[label] in (None, names[name]) for label, name in _OWNER.items())


def _nothing(others: int, names: Mapping[str, str]) -> str:
    if not others:
        return "the query has no answer"
    expected = ", ".join(f'{label}="{names[name]}"' for label, name in _OWNER.items())
    return f"the query has {others} series, none whose labels fit {expected}"


def _names(key: Key, doer: Doer, canary: CanaryDeployment, *, candidate: str) -> dict[str, str]:
    return {
        "namespace": key.namespace,
        "doer": key.doer,
        "canary": canary.metadata.name,
        "candidate": candidate,
        "control": doer.status.active_policy or "",
    }
