"""Figures in a status: rounded, so that what hardly changed is not written anew."""

from datetime import UTC, datetime, timedelta

import pytest

from learnops.api.canary import CanaryStatus
from learnops.domain.plan import WriteStatus
from learnops.domain.planner import decide
from learnops.domain.planner.outlook import rounded_runs, rounded_time
from tests.simulation.acts.people import begin, start
from tests.simulation.acts.runs import learn
from tests.simulation.evidence import reading
from tests.simulation.play import in_order
from tests.simulation.stories.figures import foresee
from tests.simulation.world import World

NOON = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("runs", "shown"), [(None, None), (0, 0), (7, 7), (43, 43), (431, 440), (9_999, 10_000)]
)
def test_runs_have_two_digits(runs: int | None, shown: int | None) -> None:
    assert rounded_runs(runs) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (30, "2026-01-05 12:01"),
        (3_000, "2026-01-05 12:55"),
        (36_000, "2026-01-05 23:00"),
        (864_000, "2026-01-16 00:00"),
    ],
)
def test_a_time_is_as_coarse_as_it_is_far(seconds: float, shown: str) -> None:
    assert f"{rounded_time(NOON, seconds):%Y-%m-%d %H:%M}" == shown


def canary_with(**figures: object) -> World:
    return in_order(
        [
            *begin(),
            *start("v2"),
            learn("v2", reading(runs=300, candidate=30), "300 runs"),
            foresee("v2", "figures", **figures),  # type: ignore[arg-type]
        ]
    )


def status_of(world: World) -> CanaryStatus:
    found = world.store.get("CanaryDeployment", world.live_canary()).status
    assert isinstance(found, CanaryStatus)
    return found


def test_figures_stand_in_the_status() -> None:
    status = status_of(
        canary_with(runs=1_234, runs_per_day=5_000.0, win_rate=0.4816, cost_delta=-0.00213)
    )
    (candidate,) = status.candidates
    assert candidate.runs_still_needed == 1_300
    assert (candidate.win_rate_percent, candidate.cost_delta) == ("48.2", "-0.00213")
    assert status.estimated_decision_time == datetime(2026, 1, 5, 16, 0, tzinfo=UTC)


def test_what_is_not_known_is_not_there_and_never_zero() -> None:
    status = status_of(canary_with(runs=1_234))
    assert status.estimated_decision_time is None
    assert "winRatePercent" not in status.to_wire()["candidates"][0]
    told = next(it for it in status.conditions if it.type == "LowTraffic")
    assert (told.status, told.reason) == ("Unknown", "VolumeUnknown")
    assert "no time is told" in told.message


def test_an_estimate_that_hardly_moved_writes_nothing() -> None:
    world = canary_with(runs=1_234, runs_per_day=5_000.0)
    world.advance(minutes=5)
    foresee("v2", "as before", runs=1_222, runs_per_day=5_010.0)(world)
    assert decide(world.observe()).actions == ()


def test_newer_figures_alone_wait_for_the_tick() -> None:
    world = canary_with(runs=1_234, runs_per_day=5_000.0)
    foresee("v2", "sooner", runs=600, runs_per_day=5_000.0)(world)
    plan = decide(world.observe())
    assert [type(it) for it in plan.actions] == [WriteStatus]
    assert plan.figures_only


def test_just_before_the_deadline_is_no_news_once_it_was_too_late() -> None:
    world = canary_with(runs=1_100, runs_per_day=1_000.0)

    def low_traffic() -> str:
        return next(it.status for it in status_of(world).conditions if it.type == "LowTraffic")

    assert low_traffic() == "True"
    foresee("v2", "23 hours", runs=960, runs_per_day=1_000.0)(world)
    world.settle()
    assert low_traffic() == "True"
    foresee("v2", "19 hours", runs=800, runs_per_day=1_000.0)(world)
    world.settle()
    assert low_traffic() == "False"


def test_the_end_forgets_what_was_still_to_come() -> None:
    world = canary_with(runs=1_234, runs_per_day=5_000.0, win_rate=0.5)
    name = world.live_canary()
    world.advance(**{"hours": timedelta(days=2) / timedelta(hours=1)})
    world.settle()
    status = world.store.get("CanaryDeployment", name).status
    assert isinstance(status, CanaryStatus)
    assert status.end_time is not None
    assert status.estimated_decision_time is None
    assert status.candidates[0].runs_still_needed is None
    assert status.candidates[0].win_rate_percent == "50.0"


def test_a_volume_without_evidence_forecasts_nothing() -> None:
    status = status_of(canary_with(runs=None, runs_per_day=1_000.0))
    told = next(it for it in status.conditions if it.type == "LowTraffic")
    assert (told.status, told.reason) == ("Unknown", "NoForecast")
    assert status.estimated_decision_time is None
    assert "more runs" not in status.waiting_for
