"""What must be true after every single action, whatever was stopped or seen late before it."""

from itertools import pairwise

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy, Stage
from learnops.api.served import TrafficStatus
from learnops.domain.arms import candidate_shares, on_trial, served
from learnops.domain.observed import EvidenceReading, ShadowReading
from tests.simulation.store import Obj


def check_write(
    before: Obj,
    after: Obj,
    *,
    evidence: dict[str, object],
    rows: list[tuple[str, Stage]],
    steps: tuple[int, ...],
) -> None:
    """One status write of the operator; `steps` are those of the canary that has traffic."""
    if isinstance(before, Doer) and isinstance(after, Doer):
        _traffic_law(before.status.traffic, after.status.traffic)
        _up_law(before.status.traffic, after, evidence, steps)
        _region_law(before.status.traffic, after.status.traffic)
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


def _region_law(old: TrafficStatus | None, new: TrafficStatus | None) -> None:
    """Who has a candidate keeps it or gets control: regions grow, end or stay where they are."""
    if old is None or new is None or old.salt != new.salt or new.active != old.active:
        return
    regions = {share.policy: share for share in candidate_shares(old)}
    for share in candidate_shares(new):
        if share.policy in regions:
            assert share.start == regions[share.policy].start, "a region moved"
    ends = [((it.start or 0), (it.start or 0) + it.percent) for it in candidate_shares(new)]
    assert all(last <= first for (_, last), (first, _) in pairwise(ends)), "regions overlap"
    control = 100 - sum(share.percent for share in candidate_shares(new))
    assert all(share.percent <= control for share in candidate_shares(new)), "control has less"


def _up_law(
    old: TrafficStatus | None, doer: Doer, evidence: dict[str, object], steps: tuple[int, ...]
) -> None:
    """More for a candidate: by one step, on fresh evidence (a start needs none)."""
    new = doer.status.traffic
    if old is None or new is None:
        return
    if old.canary is None:
        return
    kind = EvidenceReading if old.shadow is None else ShadowReading
    assert on_trial(old)
    for candidate in on_trial(old):
        before, after = served(old, candidate), served(new, candidate)
        if new.active == candidate or (after > before and new.canary == old.canary):
            assert isinstance(evidence.get(candidate), kind), "up without evidence"
        if after > before and old.shadow is None:
            assert steps.index(after) == steps.index(before) + 1, "a step was skipped"
    assert old.shadow is None or new.active == old.active, "promoted out of shadow"


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
