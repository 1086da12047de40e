"""What the drift alarm asks for, and when nothing is asked."""

from typing import Any

import pytest

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.domain.observed import DriftReading
from learnops.domain.plan import CreateCanary
from learnops.domain.planner import decide
from learnops.domain.planner.conditions import find
from tests.simulation.acts.beats import Beat
from tests.simulation.acts.people import begin, start
from tests.simulation.acts.runs import watch, win
from tests.simulation.evidence import RISEN
from tests.simulation.play import in_order
from tests.simulation.world import World


def promoted(**rollout: Any) -> World:
    return in_order([*begin(**rollout), *start("v2"), *win("v2")])


def doer_of(world: World) -> Doer:
    found = world.store.get("Doer", "planner")
    assert isinstance(found, Doer)
    return found


def canary_of_alarm(world: World) -> CanaryDeployment:
    world.sources.drift["v2"] = RISEN
    (made,) = (it for it in decide(world.observe()).actions if isinstance(it, CreateCanary))
    metadata = {**made.manifest["metadata"], "uid": "u", "creationTimestamp": world.now}
    return CanaryDeployment.model_validate({**made.manifest, "metadata": metadata})


def test_a_margin_and_a_hold_of_the_doer_do_not_let_a_policy_back_that_is_no_better() -> None:
    world = promoted(
        analysis={
            "promote": {"level": "0.01", "margin": "0.1"},
            "onInconclusive": "Hold",
            "minCandidateRuns": 70,
            "deadlineSeconds": 86_400,
        }
    )
    spec = canary_of_alarm(world).spec
    assert (spec.analysis.promote.margin, spec.analysis.promote.level) == ("0", "0.01")
    assert spec.analysis.on_inconclusive == "Rollback"
    assert spec.analysis.min_candidate_runs == 70
    assert spec.strategy.canary.steps == (50,)


def test_one_look_stays_one_look() -> None:
    world = promoted(
        strategy={"canary": {"steps": [50]}},
        analysis={"method": "FixedHorizon", "maxRuns": 200, "deadlineSeconds": 86_400},
    )
    assert canary_of_alarm(world).spec.analysis.method == "FixedHorizon"


def test_the_watch_begins_with_the_write_that_promotes() -> None:
    status = doer_of(promoted()).status
    assert status.drift is not None
    assert status.traffic is not None
    assert (status.drift.policy, status.drift.since_revision) == ("v2", status.traffic.revision)


def test_the_first_policy_is_not_watched() -> None:
    assert doer_of(in_order([*begin()])).status.drift is None


def test_one_alarm_per_promotion() -> None:
    story: list[Beat] = [*begin(), *start("v2"), *win("v2"), watch("v2", RISEN, "risen")]
    world = in_order(story)
    alarms = [it for it in world.events if it.reason == "DriftAlarm"]
    assert len(alarms) == 1
    world.sources.drift["v2"] = DriftReading(runs=9000, baseline=0.3149, alarm_at_run=9000)
    assert not decide(world.observe()).actions


def test_the_pass_of_the_alarm_says_which_policy_waits() -> None:
    world = promoted()
    world.sources.drift["v2"] = RISEN
    world.one_pass()
    reconciling = find(doer_of(world).status.conditions, "Reconciling")
    assert reconciling is not None
    assert reconciling.message == "v1 waits to start"


@pytest.mark.parametrize(("runs", "written"), [(100, False), (109, False), (110, True)])
def test_figures_are_written_when_they_have_grown_by_a_tenth(runs: int, written: bool) -> None:
    world = in_order(
        [*begin(), *start("v2"), *win("v2"), watch("v2", DriftReading(runs=100), "100 runs")]
    )
    world.sources.drift["v2"] = DriftReading(runs=runs)
    assert bool(decide(world.observe()).actions) is written


def test_the_baseline_is_written_at_once() -> None:
    world = in_order(
        [*begin(), *start("v2"), *win("v2"), watch("v2", DriftReading(runs=999), "999 runs")]
    )
    world.sources.drift["v2"] = DriftReading(runs=1000, baseline=0.31)
    assert decide(world.observe()).actions
