"""How a rollout ends by its evidence or by the clock, and what may be tried again."""

from learnops.api.canary import ActionType
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.people import apply, begin, order, set_ref, start
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import (
    FUTILE,
    NOT_MUCH_WORSE,
    NOTHING_YET,
    PROMETHEUS_DOWN,
    WORSE,
    crossed_before,
    reading,
)
from tests.simulation.stories.openings import FUTILITY_BY_HAND, STEP, V2_BY_HAND

STORIES: dict[str, list[Beat]] = {
    "promoted": [
        *begin(),
        *start("v2", parentRef={"name": "v1"}),
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        STEP,
        *win("v2"),
    ],
    "rolled-back": [
        *begin(),
        *start("v2"),
        STEP,
        learn("v2", WORSE, "24 runs, worse"),
    ],
    "ended-as-futile": [
        *begin(),
        FUTILITY_BY_HAND,
        STEP,
        learn("v2", FUTILE, "30 runs, not better by 0.02"),
        STEP,
    ],
    "deadline-without-a-verdict": [
        *begin(),
        *start("v2"),
        learn("v2", reading(runs=200, candidate=20), "20 runs, no verdict"),
        wait(days=2),
    ],
    "held-at-max-runs": [
        *begin(analysis=objects.analysis(onInconclusive="Hold", maxRuns=1000)),
        *start("v2"),
        learn("v2", reading(runs=1000, candidate=90), "90 runs, no verdict"),
        STEP,
        order(ActionType.ABORT, "enough"),
    ],
    "verdict-before-enough-runs": [
        *begin(),
        *start("v2"),
        learn("v2", reading(promote=50, ramp=9, candidate=20), "20 runs, better already"),
        STEP,
        learn(
            "v2",
            crossed_before(reading(promote=30, candidate=60, current=False)),
            "60 runs, some unresolved",
        ),
        *win("v2"),
    ],
    "timed-ramp": [
        *begin(strategy={"canary": {"steps": [5, 25, 50], "gate": "Timed", "stepSeconds": 600}}),
        *start("v2"),
        learn("v2", reading(runs=100, candidate=9), "9 runs"),
        STEP,
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
        STEP,
        learn("v2", reading(runs=200, candidate=30), "30 runs"),
        STEP,
    ],
    "rejected-stays-rejected": [
        *begin(),
        *start("v2"),
        learn("v2", WORSE, "24 runs, worse"),
        apply(objects.canary("try-v2", candidate="v2")),
        set_ref("v1"),
        set_ref("v2"),
        STEP,
    ],
    "retried-after-a-rejection": [
        *begin(),
        V2_BY_HAND,
        learn("v2", WORSE, "24 runs, worse"),
        learn("v2", NOTHING_YET, "nothing under the new salt"),
        order(ActionType.RETRY, "again-1", canary="try-v2"),
        *win("v2"),
        order(ActionType.RETRY, "again-2", canary="try-v2"),
    ],
}
