"""Policies and canaries whose doer does not exist: they say so and wait for it."""

from learnops.domain.observed import Snapshot
from learnops.domain.plan import Plan, WriteStatus
from learnops.domain.planner.conditions import merged, stalled
from learnops.domain.planner.draft import LIVE_STAGES, write_if_changed


def orphans(snapshot: Snapshot) -> Plan:
    """Stalled/DoerNotFound on each; stages stay, so that a doer applied again finds them."""
    message = f"doer {snapshot.key.doer} does not exist: apply it, or correct spec.doerRef"
    wanted, writes = stalled("DoerNotFound", message), list[WriteStatus]()
    for _, policy in sorted(snapshot.policies.items()):
        new = policy.status.model_copy(
            update={
                "conditions": merged(
                    policy.status.conditions,
                    wanted,
                    now=snapshot.now,
                    generation=policy.metadata.generation,
                )
            }
        )
        writes += write_if_changed(policy, policy.status, new, snapshot.fence)
    for canary in snapshot.canaries:
        if canary.status.stage not in LIVE_STAGES:
            continue
        conditions = merged(
            canary.status.conditions,
            wanted,
            now=snapshot.now,
            generation=canary.metadata.generation,
        )
        waiting = canary.status.model_copy(
            update={"conditions": conditions, "waiting_for": message}
        )
        writes += write_if_changed(canary, canary.status, waiting, snapshot.fence)
    rules = ("no-doer: " + message,) if writes else ()
    return Plan(actions=tuple(writes), rules=rules)
