"""The shadow stage: rules while a candidate answers nobody, and its way to the first share."""

from datetime import datetime, timedelta

from learnops.api.canary import CanaryStage, Verdict
from learnops.api.canary_figures import DifferenceStatus
from learnops.api.rollout import OnInconclusive
from learnops.api.shadow import ShadowStatus
from learnops.domain.evidence.types import LOSS
from learnops.domain.observed import DifferenceReading, ShadowReading
from learnops.domain.planner.canary_start import give_first_share
from learnops.domain.planner.decision import Decision, End, PassShadow, Stay
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import crossed, decimal, e_value, e_value_short, fraction
from learnops.domain.unavailable import Unavailable


def shown_harmful(live: Live) -> Decision | None:
    """Fail, before one answer came from the candidate. It stands before the number of pairs."""
    pairs = live.pairs
    if pairs is None or not live.in_shadow or not crossed(pairs.harm):
        return None
    return End(
        stage=CanaryStage.ROLLED_BACK,
        reason="WorseInShadow",
        message=f"{live.candidate} is worse on the same input: {_figures(pairs)}",
        reject=True,
        verdict=Verdict.ROLLBACK,
        candidate=live.candidate,
        culprit=LOSS,
    )


def passed(live: Live) -> Decision | None:
    """Enough pairs, and none of the looks at them showed harm."""
    strategy, pairs = live.canary.spec.strategy.shadow, live.pairs
    if pairs is None or (strategy is not None and pairs.pairs < strategy.min_runs):
        return None
    return PassShadow(message=f"no harm shown in shadow: {_figures(pairs)}")


def undecided(live: Live) -> Decision | None:
    """maxDurationSeconds have passed without minRuns pairs; a source that is away is no verdict."""
    analysis, end = live.canary.spec.analysis, deadline(live)
    if live.paused or end is None or live.draft.now < end:
        return None
    text = "strategy.shadow.maxDurationSeconds have passed without a verdict"
    if analysis.on_inconclusive is OnInconclusive.HOLD:
        return Stay(
            verdict=Verdict.HOLD,
            reason="Inconclusive",
            waiting_for=f"{text}: order Abort, or let it run on",
            hold=True,
            needs_person=True,
        )
    known = live.evidence
    if isinstance(known, Unavailable):
        message = f"{text}, and without evidence: {known.message}"
        return End(stage=CanaryStage.ERROR, reason=known.reason, message=message)
    message = f"{text}: {waiting_for(live)}"
    return End(stage=CanaryStage.INCONCLUSIVE, reason="NoVerdict", message=message)


def carry_on(live: Live) -> Stay:
    """Nothing to do but wait for pairs."""
    return Stay(verdict=Verdict.CONTINUE, reason="Shadowing", waiting_for=waiting_for(live))


def waiting_for(live: Live) -> str:
    """How many pairs there are, of how many."""
    strategy, pairs = live.canary.spec.strategy.shadow, live.pairs
    if strategy is None or pairs is None:
        return ""
    return f"{min(pairs.pairs, strategy.min_runs)} of {strategy.min_runs} pairs in shadow"


def deadline(live: Live) -> datetime | None:
    """When the stage must have come to its pairs; None where its start is not written yet."""
    strategy, status = live.canary.spec.strategy.shadow, live.status.shadow
    if strategy is None or status is None:
        return None
    return status.start_time + timedelta(seconds=strategy.max_duration_seconds)


def measure_pairs(live: Live) -> None:
    """Show the pairs, rounded."""
    pairs, before = live.pairs, live.status.shadow
    if pairs is None or before is None:
        return
    shown = ShadowStatus(
        start_time=before.start_time,
        pairs=pairs.pairs,
        loss=fraction(pairs.candidate_loss),
        control_loss=fraction(pairs.control_loss),
        difference=_difference(pairs.difference),
        harm=e_value(pairs.harm),
        harm_threshold=decimal(pairs.harm.threshold),
    )
    live.draft.set_canary(live.canary.metadata.name, shadow=shown)


def leave(live: Live, decision: PassShadow) -> None:
    """Up: on record first, then the first share."""
    live.draft.fire("shadow-passed", f"{live.canary.metadata.name}: {decision.message}")
    live.draft.event(live.canary, "ShadowPassed", decision.message)
    traffic = live.draft.status.traffic
    assert traffic is not None
    give_first_share(live.draft, live.canary, traffic=traffic)


def _difference(found: DifferenceReading | None) -> DifferenceStatus | None:
    if found is None:
        return None
    return DifferenceStatus(
        estimate=f"{found.estimate:.3f}", low=f"{found.low:.3f}", high=f"{found.high:.3f}"
    )


def _figures(pairs: ShadowReading) -> str:
    loss, control = fraction(pairs.candidate_loss), fraction(pairs.control_loss)
    return (
        f"mean loss {loss or 'unknown'} against {control or 'unknown'} of control in "
        f"{pairs.pairs} pairs (e-value {e_value_short(pairs.harm)})"
    )
