"""Sources of evidence that are away, know nothing yet, or cannot be believed."""

from dataclasses import replace

from tests.simulation import objects
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.mishaps import run_log
from tests.simulation.acts.people import apply, begin, set_ref, start
from tests.simulation.acts.runs import busy, learn, win
from tests.simulation.evidence import (
    FUTILE_WITHOUT_CONTROL,
    NO_SERIES,
    NOT_MUCH_WORSE,
    PROMETHEUS_DOWN,
    SKEWED,
    WORSE,
    reading,
)
from tests.simulation.stories.openings import FUTILITY_BY_HAND, STEP


def start_without_series(candidate: str) -> list[Beat]:
    """Prometheus knows nothing of the rollout when it starts."""
    return [learn(candidate, NO_SERIES, "not one run yet"), *start(candidate)]


STORIES: dict[str, list[Beat]] = {
    "rolled-back-without-run-log": [
        *begin(),
        *start("v2"),
        run_log(up=False),
        learn("v2", WORSE, "24 runs, worse"),
        run_log(up=True),
    ],
    "rolled-back-before-a-busy-canary": [
        *begin(),
        *start("v2"),
        apply(objects.policy("v3")),
        run_log(up=False),
        learn("v2", WORSE, "24 runs, worse"),
        set_ref("v3"),
        busy("v3", passes=8),
    ],
    "first-policy-waits-for-the-run-log": [
        run_log(up=False),
        *begin(),
        run_log(up=True),
    ],
    "prometheus-gone-and-back": [
        *begin(),
        *start("v2"),
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
        STEP,
        *win("v2"),
    ],
    "no-series-before-the-first-runs": [
        *begin(analysis=objects.analysis(source="Prometheus")),
        *start_without_series("v2"),
        wait(seconds=60),
        learn("v2", reading(runs=90, candidate=4, state="90 runs"), "90 runs"),
        learn("v2", NO_SERIES, "Prometheus lost its series"),
        *win("v2"),
    ],
    "no-series-for-too-long": [
        *begin(analysis=objects.analysis(source="Prometheus")),
        *start_without_series("v2"),
        wait(seconds=121),
        *win("v2"),
    ],
    "no-evidence-until-the-deadline": [
        *begin(),
        *start("v2"),
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
        wait(days=2),
    ],
    "maturation-too-short": [
        *begin(),
        *start("v2"),
        learn("v2", reading(promote=50, ramp=9, timeouts=0.08), "8 % of control time out"),
        STEP,
        *win("v2"),
    ],
    "timeouts-not-told": [
        *begin(),
        *start("v2"),
        learn(
            "v2",
            reading(promote=50, ramp=9, candidate=60, current=False, timeouts=None),
            "better, but the api does not tell of timeouts and of what is late",
        ),
        STEP,
        learn(
            "v2",
            reading(rollback=26, current=False, timeouts=None, losses=(0.52, 0.31)),
            "worse, and not more is told",
        ),
    ],
    "futile-while-its-control-times-out": [
        *begin(),
        FUTILITY_BY_HAND,
        learn("v2", FUTILE_WITHOUT_CONTROL, "30 runs, not better by 0.02; control times out"),
    ],
    "split-not-as-planned": [
        *begin(),
        *start("v2"),
        learn("v2", SKEWED, "300 runs, better, but too many of them"),
        STEP,
        learn("v2", replace(SKEWED, rollback=WORSE.rollback), "worse after all"),
    ],
}
