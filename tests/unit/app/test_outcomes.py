"""Counters of an outcome move after the status write that records it, and not without it."""

from dataclasses import dataclass
from typing import Any

import pytest

from learnops.api.canary import CanaryStage, Verdict
from learnops.app.act import Acted, End
from learnops.app.metrics import OperatorMetrics
from learnops.app.observe import Observation
from learnops.app.reconcile import Reconciler
from learnops.domain.observed import Key, Snapshot
from learnops.domain.plan import Plan, WriteStatus
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import KEY, canary
from tests.unit.app.test_guardrail_series import snapshot

LABELS = {"namespace": "agents", "doer": "planner", "stage": "RolledBack", "verdict": "Rollback"}


@dataclass
class Observer:
    """Sees the same live canary each time."""

    async def observe(self, _key: Key) -> Observation:
        return Observation(snapshot=snapshot(), live=True, wake_seconds=None)


@dataclass
class Actor:
    """Ends a plan as it is told; `seen` is what the counter said while the write was under way."""

    metrics: OperatorMetrics
    end: End
    seen: float | None = None

    def may_act(self) -> bool:
        return True

    async def act(self, _snapshot: Snapshot, _plan: Plan, *, refusal: object) -> Acted:
        self.seen = rolled_back(self.metrics)
        return Acted(end=self.end)


def rolled_back(metrics: OperatorMetrics) -> float | None:
    return metrics.registry.get_sample_value("learnops_verdict_total", LABELS)


def rolling_back(_snapshot: Snapshot) -> Plan:
    ended: Any = canary().status.model_copy(
        update={"stage": CanaryStage.ROLLED_BACK, "recommendation": Verdict.ROLLBACK}
    )
    write = WriteStatus(
        kind="CanaryDeployment", name="c1", uid="c-uid", resource_version="1", status=ended
    )
    return Plan(actions=(write,))


@pytest.mark.parametrize(
    ("end", "counted"),
    [
        (End.DONE, 1),
        (End.CONFLICT, 0),
        (End.UNAVAILABLE, 0),
        (End.REFUSED, 0),
        (End.NOT_ACTIVE, 0),
    ],
)
async def test_a_verdict_is_counted_once_its_status_is_written(end: End, counted: int) -> None:
    metrics = OperatorMetrics(version="0")
    actor = Actor(metrics, end)
    reconciler = Reconciler(
        observer=Observer(),  # type: ignore[arg-type]
        actor=actor,  # type: ignore[arg-type]
        decide=rolling_back,
        metrics=metrics,
        clock=FakeClock(),
    )
    await reconciler.reconcile(KEY)
    assert actor.seen == 0
    assert rolled_back(metrics) == counted
