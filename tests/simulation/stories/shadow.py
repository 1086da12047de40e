"""A candidate that runs in the shadow before it has any share."""

from learnops.api.canary import ActionType
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.mishaps import killed_in
from tests.simulation.acts.people import apply, begin, order
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import (
    ENOUGH_PAIRS,
    NOT_MUCH_WORSE,
    PROMETHEUS_DOWN,
    SOME_PAIRS,
    WORSE_PAIRS,
)


def shadowed(**shadow: int) -> Beat:
    """A canary of v2 that a person made, with a shadow stage of 50 pairs."""
    strategy = {**objects.STRATEGY, "shadow": {"minRuns": 50, **shadow}}
    return apply(objects.policy("v2"), objects.canary("try-v2", candidate="v2", strategy=strategy))


STORIES: dict[str, list[Beat]] = {
    "shadow-passed": [
        *begin(),
        learn("v2", SOME_PAIRS, "20 pairs, no harm shown"),
        shadowed(),
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
        killed_in(learn("v2", ENOUGH_PAIRS, "50 pairs, no harm shown"), actions=3),
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        *win("v2"),
    ],
    "shadow-shows-harm": [
        *begin(),
        learn("v2", WORSE_PAIRS, "18 pairs, worse"),
        shadowed(),
        learn("v2", ENOUGH_PAIRS, "in other pairs no harm shown"),
        order(ActionType.RETRY, "again", canary="try-v2"),
    ],
    "shadow-without-pairs-in-time": [
        *begin(),
        learn("v2", SOME_PAIRS, "20 pairs, no harm shown"),
        shadowed(maxDurationSeconds=3600),
        order(ActionType.RETRY, "too-early", canary="try-v2"),
        wait(hours=2),
    ],
    "shadow-aborted": [
        *begin(),
        learn("v2", SOME_PAIRS, "20 pairs, no harm shown"),
        shadowed(),
        order(ActionType.ABORT, "enough"),
    ],
}
