"""What a pass has to observe beyond the objects: no query that no rule would look at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.domain.planner.draft import LIVE_STAGES
from learnops.domain.planner.traffic import holds


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Which parts of the Snapshot to fill.

    `history`: the doer is to be rebuilt, or a policy has not been seen before and may be known as
    Rejected. `attempts`: a canary is about to start. `evidence`: the canary that has traffic.
    `drift`: the active policy is watched since its promotion, and all runs are its own. `record`:
    nothing is under way, so now and then the history may be compared with what is served.
    """

    history: bool
    attempts: bool
    evidence: str | None
    drift: bool = False
    record: bool = False


def needs(
    doer: Doer | None, policies: Iterable[Policy], canaries: Sequence[CanaryDeployment]
) -> Needs:
    """Decide it from the objects alone, so that the steady state asks the run log nothing."""
    if doer is None:
        return Needs(history=False, attempts=False, evidence=None)
    traffic = doer.status.traffic
    live = [canary for canary in canaries if canary.status.stage in LIVE_STAGES]
    held = [canary for canary in live if holds(traffic, canary, canary.status)]
    return Needs(
        history=traffic is None or any(policy.status.stage is None for policy in policies),
        attempts=any(_may_start(canary) for canary in canaries),
        evidence=held[0].metadata.name if held else None,
        drift=_watched(doer),
        record=traffic is not None and traffic.canary is None and not doer.status.pending_audit,
    )


def _watched(doer: Doer) -> bool:
    """Not while a canary has traffic: its runs are the canary's evidence."""
    drift, traffic = doer.status.drift, doer.status.traffic
    if drift is None or drift.alarm_at_run is not None or traffic is None:
        return False
    return traffic.canary is None and drift.policy == doer.status.active_policy


def _may_start(canary: CanaryDeployment) -> bool:
    """Has no traffic yet, or is ordered to try again."""
    status, action = canary.status, canary.spec.action
    ordered = action is not None and action.id != status.handled_action_id
    return ordered or status.stage in (None, CanaryStage.PENDING)
