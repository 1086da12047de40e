"""Where a canary is heading: its runs, and the steps that would be quicker."""

from datetime import UTC, datetime
from typing import Any

import pytest

from learnops.api.rollout import CanaryStrategy, Method, Strategy
from learnops.app.evidence.outlook import Outlook, outlook
from learnops.app.evidence.reading import plan_of
from learnops.domain.evidence import anytime, fixed_horizon
from learnops.domain.evidence.pairs import Pairs
from tests.unit.app.models import canary

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def stepped(*steps: int, **analysis: Any) -> Any:
    """A canary that starts now."""
    made = canary(source="RunLog", **analysis)
    ramp = CanaryStrategy(steps=steps, step_seconds=0)
    spec = made.spec.model_copy(update={"strategy": Strategy(canary=ramp)})
    return made.model_copy(update={"spec": spec})


def told(one: Any, *, per_day: float | None) -> Outlook:
    state = anytime.start(plan_of(one))
    return outlook(one, "v2", state, pairs=Pairs(), runs_per_day=per_day, now=NOW)


def test_enough_traffic_asks_for_no_other_steps() -> None:
    found = told(stepped(5, 10, 25, 50), per_day=10_000)
    assert 200 < found.runs_still_needed < 1_500
    assert found.likely
    assert found.other_steps is None


def test_larger_steps_are_named_where_they_are_in_time() -> None:
    slow = stepped(5, deadlineSeconds=7 * 86_400)
    runs = told(slow, per_day=None).runs_still_needed
    per_day = runs / 8  # a day too late
    other = told(slow, per_day=per_day).other_steps
    assert other is not None
    assert other.steps == (25, 50)
    assert other.in_time
    assert other.days < 7


def test_larger_steps_that_are_not_in_time_either_say_so() -> None:
    other = told(stepped(5, deadlineSeconds=3_600), per_day=100).other_steps
    assert other is not None
    assert not other.in_time


def test_nothing_is_quicker_than_half_of_the_traffic() -> None:
    assert told(stepped(50, deadlineSeconds=3_600), per_day=100).other_steps is None


def test_without_a_volume_nothing_is_late() -> None:
    found = told(stepped(5, deadlineSeconds=3_600), per_day=None)
    assert found.other_steps is None
    assert found.runs_still_needed > 0


def test_another_candidate_takes_a_part_of_the_runs_and_of_the_level() -> None:
    alone = stepped(5, 10, 25, 50)
    wire = alone.to_wire()
    wire["spec"]["candidateRefs"] = [{"name": "v2"}, {"name": "v3"}]
    wire["status"]["shares"] = [
        {"policy": "v1", "percent": 62},
        {"policy": "v2", "percent": 33},
        {"policy": "v3", "percent": 5, "start": 33},
    ]
    both = type(alone).model_validate(wire)
    wire["status"]["shares"] = [{"policy": "v1", "percent": 67}, wire["status"]["shares"][1]]
    dropped = type(alone).model_validate(wire)
    at_the_top = alone.model_copy(update={"status": alone.status.model_copy(update={"step": 3})})
    runs = [told(one, per_day=None).runs_still_needed for one in (at_the_top, dropped, both)]
    assert runs == sorted(runs)
    assert runs[0] < runs[1] < runs[2]


@pytest.mark.parametrize(
    ("analysis", "fewer"),
    [({"futility": {"minImprovement": "0.2"}}, True), ({"promote": {"margin": "0.02"}}, False)],
)
def test_before_any_run_it_looks_for_what_the_canary_was_made_to_find(
    analysis: dict[str, Any], fewer: bool
) -> None:
    plain = told(stepped(50), per_day=None).runs_still_needed
    assert (told(stepped(50, **analysis), per_day=None).runs_still_needed < plain) is fewer


def test_one_look_needs_the_runs_that_were_planned() -> None:
    one = stepped(50, maxRuns=500, deadlineSeconds=3_600)
    once = one.spec.analysis.model_copy(update={"method": Method.FIXED_HORIZON})
    one = one.model_copy(update={"spec": one.spec.model_copy(update={"analysis": once})})
    state = fixed_horizon.start(plan_of(one))
    found = outlook(one, "v2", state, pairs=Pairs(), runs_per_day=100, now=NOW)
    assert (found.runs_still_needed, found.likely, found.other_steps) == (500, True, None)
