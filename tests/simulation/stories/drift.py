"""The watch over a promoted policy, and the way back when its loss has risen."""

from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.mishaps import killed_in, run_log
from tests.simulation.acts.people import begin, delete, reweigh, start
from tests.simulation.acts.runs import learn, watch, win
from tests.simulation.evidence import BETTER, QUIET, RISEN, WORSE, reading
from tests.simulation.stories.openings import STEP

PROMOTED_V2 = [*begin(), *start("v2"), *win("v2")]


STORIES: dict[str, list[Beat]] = {
    "drifted-and-back": [
        *PROMOTED_V2,
        watch("v2", QUIET, "5000 runs, as before"),
        watch("v2", RISEN, "the loss has risen"),
        learn("v1", BETTER, "300 runs, v1 is better again"),
    ],
    "drifted-and-kept": [
        *PROMOTED_V2,
        watch("v2", RISEN, "the loss has risen"),
        learn("v1", WORSE, "24 runs, v1 is worse still"),
        STEP,
    ],
    "drifted-without-a-verdict": [
        *PROMOTED_V2,
        watch("v2", RISEN, "the loss has risen"),
        learn("v1", reading(runs=200, candidate=100), "100 runs each, no verdict"),
        wait(days=2),
    ],
    "drifted-and-mended-by-a-person": [
        *PROMOTED_V2,
        watch("v2", RISEN, "the loss has risen"),
        *start("v3"),
    ],
    "drifted-without-a-way-back": [
        *PROMOTED_V2,
        delete("Policy", "v1"),
        watch("v2", RISEN, "the loss has risen"),
    ],
    "drift-not-known-without-the-run-log": [
        *PROMOTED_V2,
        watch("v2", QUIET, "5000 runs, as before"),
        run_log(up=False),
        STEP,
        run_log(up=True),
    ],
    "drift-watch-begins-anew-with-other-weights": [
        *PROMOTED_V2,
        watch("v2", QUIET, "5000 runs, as before"),
        reweigh(grounding="1", securityCriticals="2"),
    ],
    "killed-while-raising-the-drift-alarm": [
        *PROMOTED_V2,
        killed_in(watch("v2", RISEN, "the loss has risen"), actions=1),
        *win("v1"),
    ],
}
