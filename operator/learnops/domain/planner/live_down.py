"""Rules that take a canary's traffic away, in order. No data check ever stands before them."""

from learnops.api.canary import ActionType, CanaryStage
from learnops.api.rollout import OnInconclusive, Source
from learnops.domain.evidence.ruling import Reason
from learnops.domain.evidence.types import LOSS
from learnops.domain.observed import EValue, EvidenceReading, History
from learnops.domain.planner import content
from learnops.domain.planner.decision import Decision, End
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import e_value_short, fraction
from learnops.domain.planner.rebuild import same_as_on_record
from learnops.domain.unavailable import Unavailable


def being_deleted(live: Live) -> Decision | None:
    """The object is on its way out: give traffic back while its status can still say so."""
    if live.canary.metadata.deletion_timestamp is None:
        return None
    return End(
        stage=CanaryStage.ABORTED, reason="CanaryDeleted", message="the CanaryDeployment is deleted"
    )


def abort_ordered(live: Live) -> Decision | None:
    """A person ended it; first of the verdicts, because it costs no one anything."""
    action = live.canary.spec.action
    if action is None or action.type is not ActionType.ABORT:
        return None
    if action.id == live.status.handled_action_id:
        return None
    return End(stage=CanaryStage.ABORTED, reason="Aborted", message=f"action {action.id}: Abort")


def candidate_gone(live: Live) -> Decision | None:
    """The candidate was deleted, or deleted and made again: what runs was not what was proved."""
    known = live.candidate in live.draft.policies
    if known and live.draft.policies[live.candidate].stage is not None:
        return None
    if any(it.kind == "Policy" and it.name == live.candidate for it in live.draft.snap.invalid):
        return None  # still there; a hold says that it cannot be read
    message = f"candidate {live.candidate} no longer exists as it was when the canary started"
    return End(stage=CanaryStage.ERROR, reason="CandidateGone", message=message)


def control_gone(live: Live) -> Decision | None:
    """Control was deleted and made again: unless the record knows its content, the runs of one arm
    are those of two policies, and a candidate may look better than what is worse by now.
    """
    draft = live.draft
    policy = draft.snap.policies.get(draft.active)
    if policy is None or policy.status.digest:  # not there: a hold says so; visited before: known
        return None
    history = draft.snap.history
    if isinstance(history, History) and same_as_on_record(history, policy):
        return None
    message = f"control {draft.active} no longer exists as it was when the canary started"
    return End(stage=CanaryStage.ERROR, reason="ControlGone", message=message)


def control_changed(live: Live) -> Decision | None:
    """Another policy became active meanwhile: the evidence compares with what is not served."""
    shares = live.status.shares
    if not shares or live.draft.active in {share.policy for share in shares}:
        return None
    message = f"the active policy is now {live.draft.active}"
    return End(stage=CanaryStage.SUPERSEDED, reason="ControlChanged", message=message)


def weights_changed(live: Live) -> Decision | None:
    """Runs are scored differently now, and sums of counters do not tell the old from the new.

    The run log does, so there a new generation begins (`generations.follow`); not in the shadow
    stage, whose pairs are scored by what was frozen at its start.
    """
    counted = live.canary.spec.analysis.source is Source.PROMETHEUS
    if not counted and not live.in_shadow:
        return None
    scored_with = live.status.crl_digest
    if live.draft.scoring.weights is None:
        return None  # spec.crl.weights was taken out, and what takes their place is not known yet
    if scored_with is None or scored_with == content.crl_digest(live.draft.scoring):
        return None
    message = "the doer's spec.crl changed: order Retry to judge by the new weights"
    return End(stage=CanaryStage.INCONCLUSIVE, reason="WeightsChanged", message=message)


def guardrail_breached(live: Live) -> Decision | None:
    """Fail, without a test: more breaches were seen than a person was ready to bear."""
    if live.ruling is not Reason.GUARDRAIL_BREACHED or live.breach is None:
        return None
    guardrail, found = live.breach
    message = f"{live.candidate} breached guardrail {guardrail.term} in {found} runs, "
    message += f"immediate.maxCount is {guardrail.borne}"
    return _fail(live, message, culprit=guardrail.term)


def shown_worse(live: Live) -> Decision | None:
    """Fail. Neither a pause, nor a data check, nor an unhealthy route stands before it."""
    if live.ruling is not Reason.WORSE:
        return None
    reading = live.reading
    figures = _figures(reading, None if reading is None else reading.rollback)
    message = f"{live.candidate} is worse{_culprit(reading)}: {figures}{_earlier(live)}"
    return _fail(live, message, culprit=_told_most(live))


def shown_futile(live: Live) -> Decision | None:
    """Fail as well, though it may not be worse: waiting on would cost runs for nothing."""
    test = live.canary.spec.analysis.futility
    if test is None or live.ruling is not Reason.FUTILE:
        return None
    reading = live.reading
    figures = _figures(reading, None if reading is None else reading.futility)
    return _fail(live, f"{live.candidate} is not better by {test.min_improvement}: {figures}")


def _fail(live: Live, message: str, *, culprit: str = "") -> End:
    """The evidence is against the candidate: what was ruled, with a sentence for people."""
    return End(
        stage=CanaryStage.ROLLED_BACK,
        reason=live.ruling,
        message=message,
        reject=True,
        verdict=live.ruling.verdict,
        candidate=live.candidate,
        culprit=culprit,
    )


def _earlier(live: Live) -> str:
    """Runs of an earlier generation that were resolved late roll back all the same."""
    judged = None if live.reading is None else live.reading.generation
    if judged is None or judged.number >= live.status.generation:
        return ""
    return f", by the weights of generation {judged.number}"


def _told_most(live: Live) -> str:
    """For roll-back: "loss" or a guardrail's term; where only the status remembers it, from there.
    Evidence without guardrails names none: there is nothing else than the loss."""
    if live.reading is not None:
        return live.reading.culprit or LOSS
    own = (it.evidence for it in live.status.candidates if it.name == live.candidate)
    shown = next(own, None)
    return (shown.culprit if shown else None) or LOSS


def _culprit(reading: EvidenceReading | None) -> str:
    """In a term, where it is not the loss that told most."""
    if reading is None:
        return ""
    named = (it for it in reading.guardrails if it.term == reading.culprit)
    return "".join(
        f" in {it.term} ({fraction(it.candidate_mean)} against {fraction(it.control_mean)})"
        for it in named
    )


def _figures(reading: EvidenceReading | None, test: EValue | None) -> str:
    if reading is None or test is None:
        return "the verdict stands from an earlier look"
    loss, control = fraction(reading.candidate_loss), fraction(reading.control_loss)
    return (
        f"mean loss {loss or 'unknown'} against {control or 'unknown'} of control after "
        f"{reading.candidate_runs} candidate runs (e-value {e_value_short(test)})"
    )


def overdue_without_evidence(live: Live) -> Decision | None:
    """Error: the source stayed away until the deadline, so nothing is known of the candidate."""
    if not isinstance(live.evidence, Unavailable) or not live.overdue or live.paused:
        return None
    if live.canary.spec.analysis.on_inconclusive is OnInconclusive.HOLD:
        return None
    return End(
        stage=CanaryStage.ERROR,
        reason=live.evidence.reason,
        message=f"deadline reached without evidence: {live.evidence.message}",
    )
