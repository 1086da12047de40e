"""Judge the canary that has traffic: the named rules in order, and what their decision changes."""

from collections.abc import Callable
from itertools import product

from learnops.api.canary import Verdict
from learnops.domain.attempt import salt_of
from learnops.domain.planner import live_down, live_up, queries, ramp, shadow_stage
from learnops.domain.planner.canary_end import (
    descend,
    promote,
    remember,
    with_verdict,
)
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
from learnops.domain.planner.live import Live, lives_of
from learnops.domain.planner.measure import measure
from learnops.domain.planner.outlook import tell_traffic
from learnops.domain.planner.race import best, drop, settle_drops
from learnops.domain.planner.traffic import WITH_TRAFFIC, percents_of, with_candidates
from learnops.domain.unavailable import Unavailable

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
    lives = lives_of(draft)
    if not lives:
        return False
    settle_drops(draft, lives[0].canary)
    measure(lives)
    shadow_stage.measure_pairs(lives[0])
    if not lives[0].in_shadow:  # it answers nobody: what a query sees is not its doing
        queries.count(lives)
    for rule, live in product(DOWN, lives):
        decision = rule(live)
        if isinstance(decision, End):
            draft.fire(_title(rule), f"{_name(live)}: {decision.message}")
            if decision.reject and len(lives) > 1:
                drop(live, decision)
            else:
                descend(draft, live.canary, decision)
            return True
    return False


def control(draft: Draft) -> bool:
    """The rules that hold a live canary or let it go up; true when traffic moved."""
    lives = lives_of(draft)
    if not lives:
        return False
    in_shadow = lives[0].in_shadow
    if not in_shadow:
        ramp.count_step(lives[0])
        tell_traffic(lives)
    rule, found = _first(lives, IN_SHADOW if in_shadow else UP)
    decision = next(iter(found.values()))
    if isinstance(decision, Stay):
        _stay(lives, decision)
        return False
    if isinstance(decision, End):
        draft.fire(rule, f"{_name(lives[0])}: {decision.message}")
        descend(draft, lives[0].canary, decision)
    elif isinstance(decision, Promote):
        winner = best([live for live in lives if live.candidate in found]).candidate
        promotions = (it for it in found.values() if isinstance(it, Promote))
        promote(draft, lives[0].canary, next(it for it in promotions if it.candidate == winner))
    elif isinstance(decision, PassShadow):
        shadow_stage.leave(lives[0], decision)
    else:
        _step(lives, {name: it for name, it in found.items() if isinstance(it, StepUp)})
    return True


def _first(lives: tuple[Live, ...], rules: tuple[_Rule, ...]) -> tuple[str, dict[str, Decision]]:
    """The first rule that says anything of any candidate, and what it says of each."""
    for rule in rules:
        asked = {live.candidate: rule(live) for live in lives}
        found = {name: decision for name, decision in asked.items() if decision is not None}
        if found:
            return _title(rule), found
    return "carry-on", {lives[0].candidate: live_up.carry_on(lives)}


def _step(lives: tuple[Live, ...], steps: dict[str, StepUp]) -> None:
    """One step of those that may: traffic first, then the canary's mirror of it; the run log is
    not asked."""
    live = lives[0]
    draft, name, traffic = live.draft, _name(live), live.draft.status.traffic
    assert traffic is not None
    percents = percents_of(traffic) | {it: step.percent for it, step in steps.items()}
    salt = salt_of(live.canary, live.status)
    draft.set_doer(traffic=with_candidates(traffic, live.canary, salt=salt, percents=percents))
    for candidate, step in steps.items():
        message = f"{candidate} to {step.message}"
        told = message if live.several else step.message
        draft.fire("step-up", f"{name}: {told}")
        remember(draft, name, percent=step.percent, reason="StepUp", message=told)
        draft.event(live.canary, "StepUp", message)
    ramp.count_step(live)
    text = f"the step interval at {ramp.in_words(live)}"
    _stay(lives, Stay(verdict=Verdict.CONTINUE, reason="Progressing", waiting_for=text))


def _stay(lives: tuple[Live, ...], stay: Stay) -> None:
    """Shares are kept: say why, in the status at every look, in an Event when the reason is new."""
    live = lives[0]
    draft, name = live.draft, _name(live)
    _tell_of_change(live, stay)
    changes: dict[str, object] = {
        "waiting_for": clip(stay.waiting_for, 512),
        "recommendation": stay.verdict,
        "conditions": _conditions(lives, stay),
    }
    draft.set_canary(name, **changes)
    for each in lives:  # a crossing is kept, also while something holds the canary
        verdict = Verdict.PROMOTE if each.better else _verdict_alone(stay)
        draft.set_canary(name, candidates=with_verdict(each.status, each.candidate, verdict))
    draft.settled.add(name)
    instants = (shadow_stage.deadline(live),) if live.in_shadow else (live.deadline, ramp.due(live))
    for instant in instants:
        if instant is not None and instant > draft.now:
            draft.wake(instant)


def _verdict_alone(stay: Stay) -> Verdict:
    """Of a candidate that is not proved, while another may be."""
    return Verdict.CONTINUE if stay.verdict is Verdict.PROMOTE else stay.verdict


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


def _conditions(lives: tuple[Live, ...], stay: Stay) -> object:
    live = next((it for it in lives if it.reading is None), lives[0])
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


def _title(rule: _Rule) -> str:
    return rule.__name__.replace("_", "-")


def _name(live: Live) -> str:
    return live.canary.metadata.name
