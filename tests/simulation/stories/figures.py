"""Stories of what people ask besides the evidence: when is it decided, is the traffic enough."""

from typing import Any

from learnops.domain.observed import FiguresReading, OtherSteps
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.people import begin, start
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import reading
from tests.simulation.world import World

LARGER_STEPS = OtherSteps(steps=(25, 50), days=0.81, in_time=True)


def foresee(candidate: str, what: str, *, runs: int | None, **told: Any) -> Beat:
    """The figures are read anew."""

    def beat(world: World) -> None:
        world.say(f"{candidate}: {what}")
        world.sources.figures[candidate] = FiguresReading(
            as_of=world.now, runs_still_needed=runs, **told
        )

    return beat


STORIES: dict[str, list[Beat]] = {
    "too-little-traffic": [
        *begin(),
        *start("v2"),
        learn("v2", reading(runs=30, candidate=3), "30 runs"),
        foresee("v2", "nobody knows the volume", runs=3380),
        foresee(
            "v2",
            "1,480 runs a day",
            runs=3380,
            runs_per_day=1480.0,
            other_steps=LARGER_STEPS,
            win_rate=0.482,
            cost_delta=-0.00213,
        ),
        wait(minutes=5),
        foresee("v2", "a little sooner, and still too late", runs=1470, runs_per_day=1500.0),
        foresee("v2", "in time", runs=880, runs_per_day=1500.0),
        foresee("v2", "all runs are there", runs=0, runs_per_day=1500.0),
        *win("v2"),
        *[wait(minutes=11)] * 3,
    ],
    "traffic-for-no-steps": [
        *begin(),
        *start("v2"),
        foresee("v2", "10,000 runs, 3 a day", runs=10_000, likely=False, runs_per_day=3.0),
        wait(hours=25),
    ],
}
