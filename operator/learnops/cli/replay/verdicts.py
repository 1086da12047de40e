"""The recent rollouts of a doer, judged by the losses that they had and would have had."""

from collections.abc import Sequence
from typing import Any

from learnops.adapters.postgres import whatif_rollouts as rollouts
from learnops.adapters.postgres.whatif import Reader
from learnops.adapters.postgres.whatif_rollouts import Rollout
from learnops.api.guardrails import on_queries
from learnops.cli.evaluation.errors import EvaluationError
from learnops.cli.replay.registered import logs_of
from learnops.cli.replay.rejudge import Analyses, Rejudged, judged, refusal
from learnops.cli.replay.report import Progress
from learnops.cli.replay.target import Target

_DEFAULT = (
    'canaries with analysis "default" were judged by the defaults of spec.analysis: give their '
    "own with --canaries (kubectl get canarydeployments -o yaml)"
)
_AS_IT_WAS = (
    "a replay keeps the shares that a rollout had; other verdicts would have given other shares"
)
_QUERIES = "guardrails on queries are left out: a log of runs does not tell what Prometheus did"


class Decisions:
    """Judges rollouts once more."""

    def __init__(self, analyses: Analyses, *, tell: Progress) -> None:
        self._analyses = analyses
        self._tell = tell

    def of_doer(
        self, connection: Reader, target: Target, *, namespace: str, doer: str, last: int
    ) -> tuple[list[Rejudged], list[str]]:
        """The last rollouts, the newest first, and what is to be said of them all."""
        found = rollouts.recent(connection, namespace=namespace, doer=doer, last=last)
        told: list[Rejudged] = []
        for place, rollout in enumerate(found, start=1):
            told += [self._once_more(connection, target, rollout, it) for it in rollout.attempts]
            self._tell(f"{place:,} of {len(found):,} rollouts judged")
        return told, self._notes(told)

    def _notes(self, told: Sequence[Rejudged]) -> list[str]:
        if not told:
            return []
        canaries = {it.canary for it in told if it.own}
        analyses = (self._analyses.of_canary(it, ()).spec.analysis for it in canaries)
        queries = any(on_queries(it.guardrails) for it in analyses)
        default = any(not it.own for it in told)
        notes = ((_DEFAULT, default), (_QUERIES, queries), (_AS_IT_WAS, True))
        return [text for text, holds in notes if holds]

    def _once_more(
        self, connection: Reader, target: Target, rollout: Rollout, candidate: str
    ) -> Rejudged:
        canary = self._analyses.of_canary(rollout.canary, rollout.attempts)
        about: dict[str, Any] = {
            "canary": rollout.canary,
            "candidate": candidate,
            "recorded": rollout.outcome or "",
            "own": self._analyses.knows(rollout.canary),
            "first": rollout.first,
        }
        if why := refusal(canary):
            return Rejudged(**about, why_not=why)
        try:
            before, after = logs_of(connection, target, rollout, canary=canary, candidate=candidate)
            attempt = rollout.attempts[candidate]
            return Rejudged(**about, **judged(canary, attempt=attempt, before=before, after=after))
        except EvaluationError as error:
            return Rejudged(**about, why_not=str(error))
