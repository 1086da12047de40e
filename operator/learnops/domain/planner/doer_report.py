"""The doer's conditions: does it serve, is a rollout under way, must a person act."""

from learnops.api.policy import Stage
from learnops.domain.arms import candidates_of
from learnops.domain.observed import History
from learnops.domain.planner.candidate import contends, find_policy, obstacle
from learnops.domain.planner.conditions import (
    READY,
    RECONCILING,
    SPEC_BEHIND,
    STALLED,
    Wanted,
    merged,
)
from learnops.domain.planner.draft import Draft


def settle_doer(draft: Draft) -> None:
    """Ready tells of traffic, Reconciling of a rollout, Stalled of what only a person can mend."""
    stalled = draft.stalled or _ref_stalled(draft)
    wanted = [_ready(draft, stalled), _reconciling(draft), _stalled(stalled)]
    if draft.status.traffic is not None:
        wanted.append(_spec_behind(draft))
    conditions = merged(
        draft.status.conditions,
        tuple(wanted),
        now=draft.now,
        generation=draft.doer.metadata.generation,
    )
    draft.set_doer(conditions=conditions)


def _ref_stalled(draft: Draft) -> tuple[str, str] | None:
    """A policyRef that leads nowhere; traffic stays as it is."""
    wanted, status = draft.doer.spec.policy_ref.name, draft.status
    if status.traffic is None:
        return None
    if (lost := find_policy(draft, draft.active)) is not None:
        return lost.reason, f"the active policy is still served: {lost.message}"
    if draft.policies[draft.active].stage is None and isinstance(draft.snap.history, History):
        message = (
            f"the active policy {draft.active} was made again with other content, which is served "
            "unproved: delete it and apply it as it was, or set policyRef to another policy"
        )
        return "ContentChanged", message
    if wanted == draft.active:
        return None
    found = find_policy(draft, wanted)
    if found is not None:
        handled = wanted == status.handled_policy_ref
        return None if handled else (found.reason, f"spec.policyRef: {found.message}")
    if draft.policies[wanted].stage is Stage.REJECTED:
        return (
            "PolicyRejected",
            f"spec.policyRef names {wanted}, which was Rejected: order Retry on its canary, "
            "or set policyRef to a new policy",
        )
    return _rollout_blocked(draft, wanted)


def _rollout_blocked(draft: Draft, wanted: str) -> tuple[str, str] | None:
    """The canary that policyRef asks for cannot start before a person acts."""
    for canary in draft.live_canaries():
        if wanted in candidates_of(canary) and not contends(draft, canary):
            found = obstacle(draft, canary)
            return (found.reason, found.message) if found else None
    return None


def _under_way(draft: Draft) -> set[str]:
    """Candidates that a rollout is at, or about to be."""
    found = {
        name for it in draft.live_canaries() if contends(draft, it) for name in candidates_of(it)
    }
    if draft.created:
        found.add(draft.created)
    wanted = draft.doer.spec.policy_ref.name
    if wanted != draft.status.handled_policy_ref and _startable(draft, wanted):
        found.add(wanted)
    return found


def _startable(draft: Draft, wanted: str) -> bool:
    if wanted == draft.active or find_policy(draft, wanted) is not None:
        return False
    return draft.policies[wanted].stage is not Stage.REJECTED


def _ready(draft: Draft, stalled: tuple[str, str] | None) -> Wanted:
    traffic = draft.status.traffic
    if traffic is None:
        reason, message = stalled or ("NoTraffic", "no policy is active yet")
        return Wanted(type=READY, true=False, reason=reason, message=message)
    shares = ", ".join(f"{share.policy} {share.percent} %" for share in traffic.shares)
    return Wanted(type=READY, true=True, reason="Serving", message=shares)


def _reconciling(draft: Draft) -> Wanted:
    name = draft.status.current_rollout
    if name is not None:
        return Wanted(type=RECONCILING, true=True, reason="RolloutInProgress", message=name)
    if draft.status.traffic is not None and (waiting := _under_way(draft)):
        message = f"{min(waiting)} waits to start"
        return Wanted(type=RECONCILING, true=True, reason="RolloutPending", message=message)
    return Wanted(type=RECONCILING, true=False, reason="Settled")


def _stalled(stalled: tuple[str, str] | None) -> Wanted:
    if stalled is None:
        return Wanted(type=STALLED, true=False, reason="Settled")
    return Wanted(type=STALLED, true=True, reason=stalled[0], message=stalled[1])


def _spec_behind(draft: Draft) -> Wanted:
    """Git names another policy than the one that is active, and no rollout goes that way."""
    wanted = draft.doer.spec.policy_ref.name
    if wanted == draft.active:
        return Wanted(type=SPEC_BEHIND, true=False, reason="InSync")
    if wanted in _under_way(draft):
        return Wanted(type=SPEC_BEHIND, true=False, reason="RolloutInProgress")
    message = f"spec.policyRef names {wanted}, active is {draft.active}"
    return Wanted(type=SPEC_BEHIND, true=True, reason="OtherPolicyActive", message=message)
