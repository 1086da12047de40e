"""`decide`: the rules of a doer in their order.

At most one transition in a pass: the first that fires. What a transition leaves behind (stages of
policies, a gateway's weights, conditions) follows from the new statuses in every pass alike, which
is why a plan that was cut short is taken up again by the next look.
"""

from collections.abc import Callable
from datetime import timedelta

from learnops.domain.observed import Snapshot
from learnops.domain.plan import Action, Plan, WriteInvalidStatus
from learnops.domain.planner import (
    canary_control,
    canary_start,
    completion,
    drift,
    generations,
    orders,
    rebuild,
    record,
    ref_rules,
    terms,
)
from learnops.domain.planner.audit import settle_audit
from learnops.domain.planner.doer_report import settle_doer
from learnops.domain.planner.draft import LOOK_AGAIN, Draft
from learnops.domain.planner.figures import figures_only
from learnops.domain.planner.orphans import orphans
from learnops.domain.planner.policy_rules import settle_policies
from learnops.domain.planner.route_rules import settle_route
from learnops.domain.planner.turn import show_waiting
from learnops.domain.unavailable import Unavailable

TRANSITIONS: tuple[Callable[[Draft], bool], ...] = (
    rebuild.take_up,
    completion.complete_promotion,
    completion.release_lost,
    completion.complete_descent,
    completion.complete_start,
    ref_rules.supersede,
    canary_control.take_down,
    terms.decide_weights,
    generations.follow,
    canary_control.control,
    orders.end_pending,
    ref_rules.follow_ref,
    orders.retry,
    drift.raise_alarm,
    canary_start.start,
)
SETTLEMENTS: tuple[Callable[[Draft], None], ...] = (
    orders.ignore_misplaced,
    settle_route,
    settle_policies,
    show_waiting,
    drift.settle_drift,
    terms.settle_terms,
    settle_doer,
    record.open_again,
    record.mend_record,
    settle_audit,
)


def decide(snapshot: Snapshot) -> Plan:
    """What to do about a doer and all that belongs to it, from what was observed alone."""
    reports = _invalid_reports(snapshot)
    if snapshot.doer is None:
        plan = _without_doer(snapshot)
    else:
        draft = Draft(snapshot, snapshot.doer)
        moved = any(rule(draft) for rule in TRANSITIONS)
        for settle in SETTLEMENTS:
            settle(draft)
        if moved and (draft.before or not draft.unchanged()):
            draft.look_again()
        _wake_for_sources(draft)
        plan = draft.plan()
    fired = tuple(f"report-invalid: {it.kind} {it.name}: {it.message}" for it in reports)
    actions: tuple[Action, ...] = (*plan.actions, *reports)
    return Plan(
        actions=actions,
        rules=(*plan.rules, *fired),
        requeue_after=plan.requeue_after,
        # A plan that asks for the next look at once has more to say than figures.
        figures_only=plan.requeue_after != timedelta(0) and figures_only(snapshot, actions),
    )


def _wake_for_sources(draft: Draft) -> None:
    """Nobody tells when the run log is back, so a pass that needed it looks again by itself."""
    if any(isinstance(it, Unavailable) for it in (draft.snap.history, draft.snap.attempts)):
        draft.wake(draft.now + LOOK_AGAIN)


def _without_doer(snapshot: Snapshot) -> Plan:
    """Nothing is served. A Doer that cannot be read is there all the same: leave all as it is."""
    if any(it.kind == "Doer" for it in snapshot.invalid):
        return Plan()
    return orphans(snapshot)


def _invalid_reports(snapshot: Snapshot) -> list[WriteInvalidStatus]:
    """Objects that cannot be read and do not say so yet; last, so that they stop nothing."""
    return [
        WriteInvalidStatus(
            kind=it.kind,
            name=it.name,
            uid=it.uid,
            resource_version=it.resource_version,
            generation=it.generation,
            message=it.message,
        )
        for it in snapshot.invalid
        if not it.reported
    ]
