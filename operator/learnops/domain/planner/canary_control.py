"""Judge the canary that has traffic: the named rules in order, and what their decision changes."""

from collections.abc import Callable

from learnops.api.canary import Verdict
from learnops.domain.outcome import Unavailable
from learnops.domain.planner import live_down, live_up, queries, ramp, shadow_stage
from learnops.domain.planner.canary_end import descend, promote, remember
from learnops.domain.planner.conditions import (
    EVIDENCE,
    RECONCILING,
    STALLED,
    Wanted,
    merged,
    reason_of,
    under_way,
)
from learnops.domain.planner.decision import Decision, End, PassShadow, Promote, Stay, StepUp
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.live import Live, live_of
from learnops.domain.planner.measure import measure
from learnops.domain.planner.outlook import tell_traffic
from learnops.domain.planner.traffic import WITH_TRAFFIC, salt_of, with_candidate

_Rule = Callable[[Live], Decision | None]
DOWN: tuple[_Rule, ...] = (
    live_down.being_deleted,
    live_down.abort_ordered,
    live_down.candidate_gone,
    live_down.control_gone,
    live_down.control_changed,
    shadow_stage.shown_harmful,
    live_down.guardrail_breached,
    queries.query_breached,
    live_down.shown_worse,
    live_down.shown_futile,
    live_down.weights_changed,
    live_down.overdue_without_evidence,
)
UP: tuple[_Rule, ...] = (
    live_up.step_not_counted,
    live_up.not_scraped_yet,
    live_up.evidence_unavailable,
    live_up.data_doubtful,
    live_up.paused,
    live_up.shown_better,
    live_up.undecided,
    ramp.step_up,
)


IN_SHADOW: tuple[_Rule, ...] = (
    shadow_stage.undecided,
    live_up.evidence_unavailable,
    live_up.data_doubtful,
    live_up.paused,
    shadow_stage.passed,
    shadow_stage.carry_on,
)


def take_down(draft: Draft) -> bool:
    """The rules that end a live canary: before anything else that this pass could do."""
    live = live_of(draft)
    if live is None:
        return False
    measure(live)
    shadow_stage.measure_pairs(live)
    if not live.in_shadow:  # it answers nobody: what a query sees is not its doing
        queries.count(live)
    for rule in DOWN:
        decision = rule(live)
        if isinstance(decision, End):
            draft.fire(rule.__name__.replace("_", "-"), f"{_name(live)}: {decision.message}")
            descend(draft, live.canary, decision)
            return True
    return False


def control(draft: Draft) -> bool:
    """The rules that hold a live canary or let it go up; true when traffic moved."""
    live = live_of(draft)
    if live is None:
        return False
    if not live.in_shadow:
        ramp.count_step(live)
        tell_traffic(live)
    rule, decision = _first(live)
    if isinstance(decision, Stay):
        _stay(live, decision)
        return False
    if isinstance(decision, End):
        draft.fire(rule, f"{_name(live)}: {decision.message}")
        descend(draft, live.canary, decision)
    elif isinstance(decision, Promote):
        promote(draft, live.canary, decision.message)
    elif isinstance(decision, PassShadow):
        shadow_stage.leave(live, decision)
    else:
        _step(live, decision)
    return True


def _first(live: Live) -> tuple[str, Decision]:
    for rule in IN_SHADOW if live.in_shadow else UP:
        decision = rule(live)
        if decision is not None:
            return rule.__name__.replace("_", "-"), decision
    return "carry-on", live_up.carry_on(live)


def _step(live: Live, step: StepUp) -> None:
    """One step: traffic first, then the canary's mirror of it; the run log is not asked."""
    draft, name, traffic = live.draft, _name(live), live.draft.status.traffic
    assert traffic is not None
    draft.set_doer(
        traffic=with_candidate(
            traffic,
            canary=name,
            salt=salt_of(live.canary, live.status),
            candidate=live.candidate,
            percent=step.percent,
        )
    )
    draft.fire("step-up", f"{name}: {step.message}")
    ramp.count_step(live)
    remember(draft, name, percent=step.percent, reason="StepUp", message=step.message)
    draft.event(live.canary, "StepUp", f"{live.candidate} to {step.message}")
    text = f"the step interval at {step.percent} %"
    _stay(live, Stay(verdict=Verdict.CONTINUE, reason="Progressing", waiting_for=text))


def _stay(live: Live, stay: Stay) -> None:
    """Shares are kept: say why, in the status at every look, in an Event when the reason is new."""
    draft, name = live.draft, _name(live)
    _tell_of_change(live, stay)
    changes: dict[str, object] = {
        "waiting_for": clip(stay.waiting_for, 512),
        "recommendation": stay.verdict,
        "conditions": _conditions(live, stay),
    }
    if live.status.candidates:  # a crossing is kept, also while something holds the canary
        verdict = Verdict.PROMOTE if live.better else stay.verdict
        shown = live.status.candidates[0].model_copy(update={"verdict": verdict})
        changes["candidates"] = (shown,)
    draft.set_canary(name, **changes)
    draft.settled.add(name)
    instants = (shadow_stage.deadline(live),) if live.in_shadow else (live.deadline, ramp.due(live))
    for instant in instants:
        if instant is not None and instant > draft.now:
            draft.wake(instant)


def _tell_of_change(live: Live, stay: Stay) -> None:
    before = reason_of(live.canary.status.conditions, RECONCILING)
    if live.canary.status.stage not in WITH_TRAFFIC or before == stay.reason:
        return
    live.draft.fire("hold" if stay.hold else "resume", f"{_name(live)}: {stay.waiting_for}")
    if stay.hold:
        reason = "Paused" if stay.reason == "Paused" else "Held"
        live.draft.event(live.canary, reason, f"{stay.reason}: {stay.waiting_for}", warning=True)
    else:
        live.draft.event(live.canary, "Resumed", f"waiting for {stay.waiting_for}")


def _conditions(live: Live, stay: Stay) -> object:
    wanted = under_way(stay.reason, stay.waiting_for)
    if stay.needs_person:
        wanted = (*wanted[:2], _person(stay))
    known = live.evidence
    if isinstance(known, Unavailable):
        reason, message = str(known.reason), known.message
    else:
        reason, message = "Fresh", ""
    available = Wanted(
        type=EVIDENCE, true=not isinstance(known, Unavailable), reason=reason, message=message
    )
    return merged(
        live.status.conditions,
        (*wanted, available),
        now=live.draft.now,
        generation=live.canary.metadata.generation,
    )


def _person(stay: Stay) -> Wanted:
    return Wanted(type=STALLED, true=True, reason=stay.reason, message=stay.waiting_for)


def _name(live: Live) -> str:
    return live.canary.metadata.name
