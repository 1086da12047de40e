"""Runs come through an HTTPRoute, whose weights are the shares."""

from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.gateway import edit_route, parent, serve
from tests.simulation.acts.people import begin, start
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import NOT_MUCH_WORSE, WORSE
from tests.simulation.stories.openings import STEP

STORIES: dict[str, list[Beat]] = {
    "two-promotions-through-a-gateway": [
        *begin(gateway=True),
        serve("blue", "v1"),
        *start("v2"),
        serve("green", "v2"),
        wait(seconds=5),
        parent(prompt=False),
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        STEP,
        parent(prompt=True),
        *win("v2"),
        *start("v3"),
        serve("blue", "v3"),
        wait(seconds=5),
        learn("v3", WORSE, "24 runs, worse"),
        *start("v4"),
        serve("blue", "v4"),
        wait(seconds=5),
        *win("v4"),
    ],
    "route-edited-by-somebody": [
        *begin(gateway=True),
        serve("blue", "v1"),
        wait(minutes=1),
        edit_route(50, 50),
        wait(seconds=2),
        edit_route(50, 50),
        wait(seconds=30),
    ],
}
