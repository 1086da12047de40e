"""What a changed `spec.policyRef` does, compared with `status.handledPolicyRef`."""

import hashlib
from typing import Any

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.common import API_VERSION, GROUP
from learnops.api.doer import Revert
from learnops.api.policy import Stage
from learnops.domain.arms import candidates_of
from learnops.domain.observed import Promotion
from learnops.domain.plan import CreateCanary
from learnops.domain.planner import audit, slots
from learnops.domain.planner.canary_end import descend, finish
from learnops.domain.planner.candidate import find_policy
from learnops.domain.planner.decision import End
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.traffic import holds, settled_on

DOER_LABEL = f"{GROUP}/doer"
STARTED_BY_LABEL = f"{GROUP}/started-by"
STARTED_BY_REF = "policyRef"
STARTED_BY_DRIFT = "drift"
_LONGEST_NAME = 63


def supersede(draft: Draft) -> bool:
    """policyRef turned away from the canary that it had started: control gets all traffic first.

    A canary that a person made goes on, unless the doer is set back to its previous policy, which
    changes what that canary is compared with. One that a drift alarm started makes room.
    """
    wanted = _news(draft)
    if wanted is None:
        return False
    back = _reverts(draft, wanted)
    for canary in draft.live_canaries():
        if not _in_the_way(draft, canary, wanted, back=back):
            continue
        end = End(
            stage=CanaryStage.SUPERSEDED,
            reason="Superseded",
            message=f"the doer's policyRef is now {wanted}",
        )
        status = draft.canaries[canary.metadata.name]
        draft.fire("supersede", f"{canary.metadata.name}: {end.message}")
        if holds(draft.status.traffic, canary, status):
            descend(draft, canary, end)
        else:
            finish(draft, canary, end)
        return True
    return False


def follow_ref(draft: Draft) -> bool:
    """Do what the new policyRef asks for; `handledPolicyRef` says that it was done."""
    wanted = _news(draft)
    if wanted is None:
        return False
    if _reverts(draft, wanted):
        return _revert(draft, wanted)
    if wanted == draft.active:
        why = "it is active already"
    elif draft.policies[wanted].stage is Stage.REJECTED:
        why = "it was Rejected, nothing runs"
        draft.event(
            draft.doer, "PolicyRejected", f"{wanted} was Rejected: order Retry", warning=True
        )
    else:
        why = _have_canary(draft, wanted)
    draft.set_doer(handled_policy_ref=wanted)
    draft.fire("follow-policy-ref", f"{wanted}: {why}")
    return True


def started_by_ref(canary: CanaryDeployment) -> bool:
    """Whether the operator made this canary because policyRef changed."""
    return canary.metadata.labels.get(STARTED_BY_LABEL) == STARTED_BY_REF


def started_by_drift(canary: CanaryDeployment) -> bool:
    """Whether the operator made this canary because the active policy's loss rose."""
    return canary.metadata.labels.get(STARTED_BY_LABEL) == STARTED_BY_DRIFT


def _news(draft: Draft) -> str | None:
    """The policy that policyRef turned to, once it is there, readable and staged."""
    wanted, status = draft.doer.spec.policy_ref.name, draft.status
    if status.traffic is None or wanted == status.handled_policy_ref:
        return None
    if draft.doer.metadata.deletion_timestamp is not None:
        return None
    if find_policy(draft, wanted) is not None or draft.policies[wanted].stage is None:
        return None
    return wanted


def _in_the_way(draft: Draft, canary: CanaryDeployment, wanted: str, *, back: bool) -> bool:
    if started_by_drift(canary):
        return back or wanted not in (*candidates_of(canary), draft.active)
    if not started_by_ref(canary):
        status = draft.canaries[canary.metadata.name]
        return back and holds(draft.status.traffic, canary, status)
    return back or wanted not in candidates_of(canary) or wanted == draft.active


def _reverts(draft: Draft, wanted: str) -> bool:
    """Set back to the previous policy, which has been proved, and allowed to go at once."""
    immediate = draft.doer.spec.rollout.revert is Revert.IMMEDIATE
    archived = draft.policies[wanted].stage in (Stage.ARCHIVED, Stage.ACTIVE)
    is_previous = wanted == draft.status.previous_policy and wanted != draft.active
    return immediate and archived and is_previous


def _revert(draft: Draft, wanted: str) -> bool:
    """The previous policy gets all traffic; its canaries have ended already. The record first."""
    traffic, replaced = draft.status.traffic, draft.active
    assert traffic is not None
    trouble = slots.trouble(draft.snap, traffic, wanted)
    if trouble is not None:
        draft.stalled = (trouble[0], f"cannot go back to {wanted}: {trouble[1]}")
        return False
    why = f"policyRef was set back to {wanted}"
    rows = _revert_rows(draft, wanted=wanted, replaced=replaced, why=why)
    audit.record_first(draft, rows)
    backend = slots.other_backend(draft.doer, traffic)
    draft.set_doer(
        traffic=settled_on(traffic, active=wanted, backend=backend),
        active_policy=wanted,
        previous_policy=replaced,
        handled_policy_ref=wanted,
    )
    draft.fire("revert", f"{wanted} at once, {replaced} to the archive")
    draft.event(draft.doer, "Reverted", f"{why}: it has all traffic, {replaced} is archived")
    return True


def _revert_rows(draft: Draft, *, wanted: str, replaced: str, why: str) -> tuple[Promotion, ...]:
    moves = ((wanted, Stage.ARCHIVED, Stage.ACTIVE), (replaced, Stage.ACTIVE, Stage.ARCHIVED))
    metadata = draft.doer.metadata
    return tuple(
        audit.row(
            draft,
            id_=f"{metadata.uid}/revert/{metadata.generation}/{to_stage}",
            policy=policy,
            move=(from_stage, to_stage),
            why=why,
            rollout="",
        )
        for policy, from_stage, to_stage in moves
    )


def _have_canary(draft: Draft, wanted: str) -> str:
    """Make sure that one canary is live for the candidate; one that a person made is as good."""
    for canary in draft.live_canaries():
        if wanted in candidates_of(canary) and canary.metadata.deletion_timestamp is None:
            return f"canary {canary.metadata.name} is there"
    name = _free_name(draft, wanted)
    draft.before.append(CreateCanary(manifest=manifest(draft, name, wanted)))
    draft.created = wanted
    draft.event(draft.doer, "CanaryCreated", f"policyRef turned to {wanted}: canary {name}")
    return f"canary {name}"


def _free_name(draft: Draft, candidate: str) -> str:
    """Deterministic for one change of policyRef, so that a repeated create meets itself."""
    metadata, taken, counter = draft.doer.metadata, draft.canaries, 0
    while True:
        seed = f"{metadata.uid}/{metadata.generation}/{candidate}/{counter}"
        short = hashlib.sha256(seed.encode()).hexdigest()[:8]
        name = f"{candidate[: _LONGEST_NAME - 9].rstrip('-')}-{short}"
        if name not in taken:
            return name
        counter += 1


def manifest(
    draft: Draft, name: str, candidate: str, *, started_by: str = STARTED_BY_REF
) -> dict[str, Any]:
    """A canary as the operator makes it, with the strategy and the analysis of the doer."""
    doer = draft.doer
    rollout = doer.spec.rollout
    return {
        "apiVersion": API_VERSION,
        "kind": "CanaryDeployment",
        "metadata": {
            "name": name,
            "namespace": doer.metadata.namespace,
            "labels": {DOER_LABEL: doer.metadata.name, STARTED_BY_LABEL: started_by},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Doer",
                    "name": doer.metadata.name,
                    "uid": doer.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "doerRef": {"name": doer.metadata.name},
            "candidateRefs": [{"name": candidate}],
            "strategy": rollout.strategy.to_wire(),
            "analysis": rollout.analysis.to_wire(),
        },
    }
