"""How several stories begin, and the spans of time that they share."""

from tests.simulation import objects
from tests.simulation.acts.beats import wait
from tests.simulation.acts.people import apply

STEP = wait(minutes=11)  # longer than a step of the shares has to last
TICK = wait(seconds=10)  # longer than queries are spaced
V2_BY_HAND = apply(objects.policy("v2"), objects.canary("try-v2", candidate="v2"))
FUTILITY_BY_HAND = apply(
    objects.policy("v2"),
    objects.canary(
        "try-v2",
        candidate="v2",
        analysis=objects.analysis(futility={"minImprovement": "0.02"}),
    ),
)
