"""Guardrails on PromQL queries: three answers above the bound in a row roll back.

The count stands in the canary's status, so a restart goes on from it. An answer that is unknown
neither counts nor clears: it may hide a breach as well as its end, so nothing goes up on it, and it
takes no traffic away.
"""

from datetime import timedelta

from learnops.api.canary import CanaryStage, CandidateStatus, Verdict
from learnops.api.guardrails import QueryGuardrail, QueryStatus, on_queries
from learnops.domain.observed import QueryAnswer
from learnops.domain.planner.decision import Decision, End
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import decimal
from learnops.domain.unavailable import ErrorReason, Unavailable

BREACHES_THAT_FAIL = 3
AWAITED = "AnswerAwaited"
_NOT_ASKED = Unavailable(reason=ErrorReason.NO_DATA, message="it was not asked in this pass")


def count(lives: tuple[Live, ...]) -> None:
    """Show each query's answer, and count its breaches on from the status."""
    if not _guardrails(lives[0]):
        return
    by_name = {live.candidate: live for live in lives}
    shown = tuple(
        _with_counts(by_name[it.name], it) if it.name in by_name else it
        for it in lives[0].status.candidates
    )
    lives[0].draft.set_canary(lives[0].canary.metadata.name, candidates=shown)


def _with_counts(live: Live, candidate: CandidateStatus) -> CandidateStatus:
    known = {it.name: it for it in candidate.queries}
    counted = tuple(_counted(live, it, known.get(it.name)) for it in _guardrails(live))
    changes: dict[str, object] = {"queries": counted}
    culprit = _failed(counted)
    if culprit is not None and candidate.evidence is not None:
        changes["evidence"] = candidate.evidence.model_copy(update={"culprit": culprit.name})
    return candidate.model_copy(update=changes)


def query_breached(live: Live) -> Decision | None:
    """Fail, whatever the evidence says, and also where there is none."""
    failed = _failed(_stand(live))
    if failed is None:
        return None
    return End(
        stage=CanaryStage.ROLLED_BACK,
        reason="GuardrailBreached",
        message=f"{live.candidate} breached guardrail {failed.name} "
        f"{failed.breaches} times in a row: {failed.value or 'it was'} above its max {failed.max}",
        reject=True,
        verdict=Verdict.ROLLBACK,
        candidate=live.candidate,
        culprit=failed.name,
    )


def trouble(live: Live) -> tuple[str, str] | None:
    """What keeps the canary from going up: a reason and a sentence; AWAITED is no hold yet."""
    found = _trouble(live)
    if found is None or not live.several:
        return found
    return found[0], f"{live.candidate}: {found[1]}"


def _trouble(live: Live) -> tuple[str, str] | None:
    for it in _stand(live):
        if it.reason is not None:
            return _unknown(live, it)
    for it in _stand(live):
        if it.breaches:
            return "GuardrailAboveMax", (
                f"guardrail {it.name} to be within its max {it.max}: it was above in {it.breaches} "
                f"of {BREACHES_THAT_FAIL} answers in a row that roll back (now {it.value})"
            )
    return None


def _counted(live: Live, guardrail: QueryGuardrail, before: QueryStatus | None) -> QueryStatus:
    breaches, since = (before.breaches, before.breach_time) if before else (0, None)
    told = QueryStatus(
        name=guardrail.name, max=decimal(guardrail.most), breaches=breaches, breach_time=since
    )
    answer = _answer(live, guardrail.name)
    if isinstance(answer, Unavailable):
        return told.model_copy(update={"reason": answer.reason.value})
    told = told.model_copy(update={"value": decimal(answer.value)})
    if since is not None and answer.at <= since:  # the same look again, or an older one
        return told
    if answer.value <= guardrail.most:
        return told.model_copy(update={"breaches": 0, "breach_time": None})
    if since is not None and answer.at - since < live.draft.snap.query_spacing:
        return told
    return told.model_copy(update={"breaches": breaches + 1, "breach_time": answer.at})


def _answer(live: Live, name: str) -> QueryAnswer:
    """The answer, where it is of now: one that something between kept for long is stale."""
    answers = live.draft.snap.queries.get(live.candidate, {})
    answer = answers.get(name, _NOT_ASKED)
    if isinstance(answer, Unavailable):
        return answer
    allowed = live.canary.spec.analysis.max_staleness_seconds
    away = (live.draft.now - answer.at).total_seconds()
    if abs(away) <= allowed:
        return answer
    message = (
        f"it was evaluated {away:.0f} s before now by the operator's clock, "
        f"maxStalenessSeconds is {allowed}"
    )
    return Unavailable(reason=ErrorReason.STALE, message=message)


def _unknown(live: Live, it: QueryStatus) -> tuple[str, str]:
    """Before the first runs there is no series: that is no news for maxStalenessSeconds."""
    answer = _answer(live, it.name)
    message = answer.message if isinstance(answer, Unavailable) else ""
    since = live.status.start_time or live.draft.now
    until = since + timedelta(seconds=live.canary.spec.analysis.max_staleness_seconds)
    if it.reason == ErrorReason.NO_DATA and live.draft.now < until:
        live.draft.wake(until)
        return AWAITED, f"the first answer to guardrail {it.name}: {message}"
    return "GuardrailNoData", f"guardrail {it.name}: {it.reason}: {message}"


def _failed(stand: tuple[QueryStatus, ...]) -> QueryStatus | None:
    return next((it for it in stand if it.breaches >= BREACHES_THAT_FAIL), None)


def _stand(live: Live) -> tuple[QueryStatus, ...]:
    own = (it.queries for it in live.status.candidates if it.name == live.candidate)
    return next(own, ())


def _guardrails(live: Live) -> tuple[QueryGuardrail, ...]:
    return on_queries(live.canary.spec.analysis.guardrails)
