"""Rollouts with several candidates at once. Each is a list of beats, as in `stories`."""

from dataclasses import replace

from learnops.api.canary import ActionType
from learnops.domain.observed import DifferenceReading
from tests.simulation import objects
from tests.simulation.acts import (
    Beat,
    apply,
    begin,
    killed_in,
    learn,
    order,
    serve,
    start,
    wait,
    win,
)
from tests.simulation.evidence import BETTER, FUTILE, NOT_MUCH_WORSE, NOTHING_YET, WORSE
from tests.simulation.world import World

STEP = wait(minutes=11)
BOTH_BY_HAND = apply(
    objects.policy("v2"),
    objects.policy("v3"),
    objects.canary(
        "try-both",
        candidate="v2",
        candidateRefs=[{"name": "v2"}, {"name": "v3"}],
        analysis=objects.analysis(futility={"minImprovement": "0.02"}),
    ),
)
LOWER = DifferenceReading(estimate=-0.10, low=-0.20, high=-0.03)
BETTER_AND_BOUNDED = replace(
    BETTER, difference=DifferenceReading(estimate=-0.07, low=-0.15, high=-0.01)
)


def both_better(world: World) -> None:
    """Both are proved in the same block; v3 by more."""
    world.truth["v3"] = replace(BETTER_AND_BOUNDED, difference=LOWER)
    learn("v2", BETTER_AND_BOUNDED, "300 runs of each, both better, v3 by more")(world)


RACES: dict[str, list[Beat]] = {
    "two-candidates-one-dropped-one-promoted": [
        *begin(),
        BOTH_BY_HAND,
        learn("v3", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        learn("v2", WORSE, "24 runs, worse"),
        STEP,
        *win("v3"),
    ],
    "two-candidates-both-dropped": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", FUTILE, "30 runs, not better by 0.02"),
        learn("v3", WORSE, "24 runs, worse"),
    ],
    "two-candidates-both-proved": [
        *begin(),
        BOTH_BY_HAND,
        both_better,
    ],
    "two-candidates-without-a-verdict": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", WORSE, "24 runs, worse"),
        wait(days=2),
    ],
    "two-candidates-tried-again": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", WORSE, "24 runs, worse"),
        order(ActionType.ABORT, "a1"),
        learn("v2", NOTHING_YET, "new runs"),
        order(ActionType.RETRY, "r1", canary="try-both"),
    ],
    "two-candidates-killed-while-dropping": [
        *begin(),
        BOTH_BY_HAND,
        killed_in(learn("v2", WORSE, "24 runs, worse"), actions=1),
        *win("v3"),
    ],
    "two-candidates-killed-while-promoting": [
        *begin(),
        BOTH_BY_HAND,
        killed_in(learn("v3", BETTER, "300 runs, better"), actions=2),
    ],
    "two-candidates-one-rejected-before": [
        *begin(),
        *start("v2"),
        learn("v2", WORSE, "24 runs, worse"),
        apply(
            objects.policy("v3"),
            objects.canary(
                "try-both", candidate="v2", candidateRefs=[{"name": "v2"}, {"name": "v3"}]
            ),
        ),
    ],
    "two-candidates-behind-a-gateway": [
        *begin(gateway=True),
        serve("blue", "v1"),
        BOTH_BY_HAND,
    ],
}
