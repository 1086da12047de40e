"""Drift after promotion: the watch over the active policy, its alarm, and the canary that follows.

The alarm alone rolls nothing back: when everything got worse, the previous policy would do no
better. So it starts a canary in which that policy is the candidate, and the evidence decides.
"""

import hashlib

from learnops.api.learning import DriftStatus
from learnops.api.policy import Stage
from learnops.api.rollout import OnInconclusive
from learnops.domain.arms import candidates_of
from learnops.domain.evidence.drift import BASELINE_RUNS
from learnops.domain.observed import DriftReading
from learnops.domain.plan import CreateCanary
from learnops.domain.planner import content
from learnops.domain.planner.candidate import find_policy
from learnops.domain.planner.conditions import DRIFTING, Wanted, merged
from learnops.domain.planner.draft import LIVE_STAGES, Draft
from learnops.domain.planner.numbers import fraction
from learnops.domain.planner.ref_rules import STARTED_BY_DRIFT, manifest
from learnops.domain.unavailable import Unavailable

_LONGEST_NAME = 63


def raise_alarm(draft: Draft) -> bool:
    """The watch says that the loss has risen: one canary of the previous policy, once a promotion.

    The canary is made before the status that tells of the alarm; a stop in between makes no second
    one.
    """
    drift, reading = draft.status.drift, draft.snap.drift
    if drift is None or not _is_current(draft, drift) or not isinstance(reading, DriftReading):
        return False
    if reading.alarm_at_run is None or drift.alarm_at_run is not None:
        return False
    if draft.doer.metadata.deletion_timestamp is not None:
        return False
    trouble = _no_way_back(draft)
    canary = None if trouble is not None else _have_canary(draft)
    told = drift.model_copy(
        update={
            "runs": reading.runs,
            "baseline": fraction(reading.baseline),
            "alarm_at_run": reading.alarm_at_run,
            "canary": canary,
        }
    )
    draft.set_doer(drift=told)
    what = f"the loss of {drift.policy} has risen above {told.baseline} at run {told.alarm_at_run}"
    then = f"canary {canary} tries {draft.status.previous_policy}" if canary else trouble
    draft.fire("drift-alarm", f"{what}: {then}")
    draft.event(draft.doer, "DriftAlarm", f"{what} since its promotion: {then}", warning=True)
    return True


def settle_drift(draft: Draft) -> None:
    """Begin the watch with a promotion, show its figures and its condition."""
    _begin(draft)
    drift = draft.status.drift
    if drift is None:
        return
    reading = draft.snap.drift
    if isinstance(reading, DriftReading) and drift.alarm_at_run is None and not draft.began_watch:
        _show_figures(draft, drift, reading)
    conditions = merged(
        draft.status.conditions,
        (_condition(draft),),
        now=draft.now,
        generation=draft.doer.metadata.generation,
    )
    draft.set_doer(conditions=conditions)


def _is_current(draft: Draft, drift: DriftStatus) -> bool:
    same_yardstick = drift.crl_digest == content.crl_digest(draft.scoring)
    return drift.policy == draft.active and same_yardstick


def _goes_on_with(draft: Draft, drift: DriftStatus) -> bool:
    alarmed = drift.alarm_at_run is not None
    return drift.policy == draft.active and (alarmed or _is_current(draft, drift))


def _begin(draft: Draft) -> None:
    """A new active policy, or other weights before the alarm: from here on, runs are comparable.

    Without a previous policy there is nothing to go back to, and nothing is watched.
    """
    drift, traffic = draft.status.drift, draft.status.traffic
    if traffic is None or draft.status.previous_policy is None:
        return
    if drift is not None and _goes_on_with(draft, drift):
        return
    began = DriftStatus(
        policy=draft.active,
        since_revision=traffic.revision,
        crl_digest=content.crl_digest(draft.scoring),
    )
    draft.began_watch = True
    draft.set_doer(drift=began)
    draft.look_again()


def _show_figures(draft: Draft, drift: DriftStatus, reading: DriftReading) -> None:
    """Written at news only: a busy doer would otherwise cost a write at every look."""
    baseline = fraction(reading.baseline)
    grown = reading.runs > drift.runs and reading.runs * 10 >= drift.runs * 11
    if grown or baseline != drift.baseline:
        shown = {"runs": reading.runs, "baseline": baseline}
        draft.set_doer(drift=drift.model_copy(update=shown))


def _no_way_back(draft: Draft) -> str | None:
    """Why the previous policy cannot be tried; None: it can."""
    previous = draft.status.previous_policy
    if previous is None or previous == draft.active:
        return "there is no previous policy to try"
    found = find_policy(draft, previous)
    if found is not None:
        return f"the previous policy cannot be tried: {found.message}"
    if draft.policies[previous].stage is Stage.REJECTED:
        return f"the previous policy cannot be tried: {previous} was Rejected"
    return None


def _have_canary(draft: Draft) -> str:
    """The name of the canary that tries the previous policy.

    One that is there is as good: a pass that was stopped made it, or a person did.
    """
    previous = draft.status.previous_policy
    assert previous is not None
    for canary in draft.live_canaries():
        if previous in candidates_of(canary) and canary.metadata.deletion_timestamp is None:
            return canary.metadata.name
    name = _free_name(draft, previous)
    draft.before.append(CreateCanary(manifest=_manifest(draft, name, previous)))
    draft.created = previous
    return name


def _free_name(draft: Draft, previous: str) -> str:
    """Deterministic, so that a repeated create meets itself."""
    counter = 0
    while True:
        seed = f"{draft.doer.metadata.uid}/drift/{draft.active}/{previous}/{counter}"
        short = hashlib.sha256(seed.encode()).hexdigest()[:8]
        name = f"{previous[: _LONGEST_NAME - 15].rstrip('-')}-drift-{short}"
        if name not in draft.canaries:
            return name
        counter += 1


def _manifest(draft: Draft, name: str, previous: str) -> dict[str, object]:
    """Half of the runs each; only a previous policy that is better comes back, never one that is
    no worse, and without a verdict the active one gets its runs back.
    """
    made = manifest(draft, name, previous, started_by=STARTED_BY_DRIFT)
    spec = made["spec"]
    analysis = spec["analysis"]
    promote = {**analysis.get("promote", {}), "margin": "0"}
    changes = {"promote": promote, "onInconclusive": OnInconclusive.ROLLBACK.value}
    half = {"canary": {"steps": [50]}}
    return {**made, "spec": {**spec, "strategy": half, "analysis": {**analysis, **changes}}}


def _condition(draft: Draft) -> Wanted:
    drift, reading = draft.status.drift, draft.snap.drift
    assert drift is not None
    if drift.alarm_at_run is not None:
        return _alarmed(draft, drift)
    if isinstance(reading, Unavailable) and not draft.began_watch:
        reason, message = reading.reason.value, reading.message
        return Wanted(type=DRIFTING, true=False, known=False, reason=reason, message=message)
    if drift.baseline is None:
        message = f"{drift.policy} has {drift.runs} of {BASELINE_RUNS} runs for its baseline"
        return Wanted(type=DRIFTING, true=False, reason="LearningBaseline", message=message)
    message = (
        f"{drift.runs} runs of {drift.policy} do not show a mean loss above {drift.baseline}, "
        "the upper bound of its first runs"
    )
    return Wanted(type=DRIFTING, true=False, reason="NoDrift", message=message)


def _alarmed(draft: Draft, drift: DriftStatus) -> Wanted:
    risen = f"the loss of {drift.policy} has risen above {drift.baseline} at run "
    risen += f"{drift.alarm_at_run} since its promotion"
    if drift.canary is None:
        message = f"{risen}, and no previous policy can be tried: roll out a better policy"
        return Wanted(type=DRIFTING, true=True, reason="NoWayBack", message=message)
    if _goes_on(draft, drift.canary):
        message = f"{risen}: canary {drift.canary} tries the previous policy"
        return Wanted(type=DRIFTING, true=True, reason="DriftAlarm", message=message)
    message = (
        f"{risen}; canary {drift.canary} did not show the previous policy to be better, so "
        f"{drift.policy} stays: look for what else has changed, or roll out a better policy"
    )
    return Wanted(type=DRIFTING, true=True, reason="ActiveKept", message=message)


def _goes_on(draft: Draft, name: str) -> bool:
    status = draft.canaries.get(name)
    if status is None:
        return draft.created is not None  # by this plan
    return status.stage in LIVE_STAGES
