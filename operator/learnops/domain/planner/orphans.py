"""Policies and canaries whose doer does not exist: they say so and wait for it."""

from learnops.api.canary import CanaryDeployment
from learnops.api.common import Condition
from learnops.api.policy import Policy
from learnops.domain.observed import Snapshot
from learnops.domain.plan import Plan, WriteStatus
from learnops.domain.planner.conditions import Wanted, merged, stalled
from learnops.domain.planner.draft import LIVE_STAGES, write_if_changed


def orphans(snapshot: Snapshot) -> Plan:
    """Stalled/DoerNotFound on each; stages stay, so that a doer applied again finds them."""
    message = f"doer {snapshot.key.doer} does not exist: apply it, or correct spec.doerRef"
    wanted, writes = stalled("DoerNotFound", message), list[WriteStatus]()
    for _, policy in sorted(snapshot.policies.items()):
        conditions = _merged(snapshot, policy, wanted)
        told = policy.status.model_copy(update={"conditions": conditions})
        writes += write_if_changed(policy, policy.status, told, snapshot.fence)
    for canary in snapshot.canaries:
        if canary.status.stage not in LIVE_STAGES:
            continue
        changes = {"conditions": _merged(snapshot, canary, wanted), "waiting_for": message}
        waiting = canary.status.model_copy(update=changes)
        writes += write_if_changed(canary, canary.status, waiting, snapshot.fence)
    rules = ("no-doer: " + message,) if writes else ()
    return Plan(actions=tuple(writes), rules=rules)


def _merged(
    snapshot: Snapshot, about: Policy | CanaryDeployment, wanted: tuple[Wanted, ...]
) -> tuple[Condition, ...]:
    generation = about.metadata.generation
    return merged(about.status.conditions, wanted, now=snapshot.now, generation=generation)
