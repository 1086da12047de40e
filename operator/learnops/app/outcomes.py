"""Counters of what happened. They move after the status write that records it, never before."""

from learnops.api.canary import CanaryStage, CanaryStatus
from learnops.api.doer import DoerStatus
from learnops.api.policy import Stage
from learnops.app.metrics import OperatorMetrics
from learnops.domain.observed import Snapshot
from learnops.domain.plan import Plan, RecordPromotions, WriteStatus

_GOING_ON = (None, CanaryStage.PENDING, CanaryStage.SHADOW, CanaryStage.CANARY)


def count_outcomes(metrics: OperatorMetrics, *, snapshot: Snapshot, plan: Plan) -> None:
    """Count what a plan that was carried out to its end has ended, promoted or raised."""
    for action in plan.actions:
        if not isinstance(action, WriteStatus):
            continue
        if isinstance(action.status, CanaryStatus):
            _count_end(metrics, snapshot, action.name, action.status)
        elif isinstance(action.status, DoerStatus):
            _count_promotion(metrics, snapshot, plan, action.status)
            _count_drift(metrics, snapshot, action.status)


def _count_end(
    metrics: OperatorMetrics, snapshot: Snapshot, name: str, status: CanaryStatus
) -> None:
    before = next((one for one in snapshot.canaries if one.metadata.name == name), None)
    if before is None or before.status.stage not in _GOING_ON or status.stage in _GOING_ON:
        return
    verdict = status.recommendation.value if status.recommendation is not None else ""
    stage = "" if status.stage is None else status.stage.value
    metrics.verdicts.labels(snapshot.key.namespace, snapshot.key.doer, stage, verdict).inc()


def _count_promotion(
    metrics: OperatorMetrics, snapshot: Snapshot, plan: Plan, status: DoerStatus
) -> None:
    before = None if snapshot.doer is None else snapshot.doer.status.active_policy
    if status.active_policy is None or status.active_policy == before:
        return
    rows = [row for one in plan.actions if isinstance(one, RecordPromotions) for row in one.rows]
    by = [row.by for row in rows if row.to_stage is Stage.ACTIVE]
    metrics.promotions.labels(by=_kind_of(by[-1] if by else "operator")).inc()


def _count_drift(metrics: OperatorMetrics, snapshot: Snapshot, status: DoerStatus) -> None:
    before = None if snapshot.doer is None else snapshot.doer.status.drift
    if status.drift is None or status.drift.alarm_at_run is None:
        return
    if before is None or before.alarm_at_run is None:
        metrics.drift_alarms.inc()


def _kind_of(by: str) -> str:
    """Who, as a bounded label: a person's name stays in the audit trail."""
    return "operator" if by == "operator" else "person"
