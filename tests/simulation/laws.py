"""What must be true after every single action, whatever was stopped or seen late before it."""

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer, TrafficStatus
from learnops.api.policy import Policy, Stage
from learnops.domain.observed import EvidenceReading, ShadowReading
from learnops.domain.planner.traffic import candidate_percent, tried
from tests.simulation.store import Obj


def check_write(
    before: Obj, after: Obj, *, evidence: dict[str, object], rows: list[tuple[str, Stage]]
) -> None:
    """One status write of the operator."""
    if isinstance(before, Doer) and isinstance(after, Doer):
        _traffic_law(before.status.traffic, after.status.traffic)
        _up_law(before.status.traffic, after, evidence)
    if isinstance(before, Policy) and isinstance(after, Policy):
        stage = after.status.stage
        if stage is Stage.ACTIVE and before.status.stage is not Stage.ACTIVE:
            assert (after.metadata.name, Stage.ACTIVE) in rows, "Active before it is on record"
    if isinstance(before, CanaryDeployment) and isinstance(after, CanaryDeployment):
        assert after.status.retries >= before.status.retries
    assert after.status.fence >= before.status.fence


def _traffic_law(old: TrafficStatus | None, new: TrafficStatus | None) -> None:
    assert new is not None or old is None, "traffic is never taken away"
    if new is None:
        return
    assert sum(share.percent for share in new.shares) == 100
    if old is None:
        return
    served = ("shares", "active", "salt", "canary", "shadow")
    moved = any(getattr(old, name) != getattr(new, name) for name in served)
    assert new.revision == old.revision + (1 if moved else 0)


def _up_law(old: TrafficStatus | None, doer: Doer, evidence: dict[str, object]) -> None:
    """More for a candidate: by one step, on fresh evidence (a start needs none)."""
    new = doer.status.traffic
    if old is None or new is None:
        return
    before, after = candidate_percent(old), candidate_percent(new)
    if old.canary is None:
        return
    candidate = tried(old)
    assert candidate is not None
    if new.active == candidate or (after > before and new.canary == old.canary):
        kind = EvidenceReading if old.shadow is None else ShadowReading
        assert isinstance(evidence.get(candidate), kind), "up without evidence"
    if old.shadow is not None:
        assert new.active == old.active, "promoted out of shadow"
        return
    if after > before:
        steps = doer.spec.rollout.strategy.canary.steps
        assert steps.index(after) == steps.index(before) + 1, "a step was skipped"


def check_world(objects: list[Obj]) -> None:
    """All objects together."""
    policies = {obj.metadata.name: obj for obj in objects if isinstance(obj, Policy)}
    active = [name for name, it in policies.items() if it.status.stage is Stage.ACTIVE]
    assert len(active) <= 1, f"two Active: {active}"
    for obj in objects:
        if isinstance(obj, Doer) and obj.status.traffic is not None:
            for share in obj.status.traffic.shares:
                policy = policies.get(share.policy)
                rejected = policy is not None and policy.status.stage is Stage.REJECTED
                assert not rejected, f"{share.policy} is Rejected and served"


def check_settled(objects: list[Obj]) -> None:
    """When there is nothing left to do: one Active, which is what the doer serves."""
    policies = [obj for obj in objects if isinstance(obj, Policy)]
    active = {it.metadata.name for it in policies if it.status.stage is Stage.ACTIVE}
    for obj in objects:
        if not isinstance(obj, Doer) or obj.status.traffic is None:
            continue
        # One that was made again with other content has no stage: nobody vouches for it.
        here = {it.metadata.name for it in policies if it.status.stage is not None}
        assert active == {obj.status.active_policy} & here
        assert obj.status.traffic.active == obj.status.active_policy
        assert not obj.status.pending_audit
