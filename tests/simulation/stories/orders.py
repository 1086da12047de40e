"""What people order while a rollout is under way: pause, abort, another policy, back."""

from learnops.api.canary import ActionType, Run
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.mishaps import canaries
from tests.simulation.acts.people import apply, begin, order, run, set_ref, start
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import BETTER, NOTHING_YET, WORSE
from tests.simulation.stories.openings import STEP, V2_BY_HAND

STORIES: dict[str, list[Beat]] = {
    "paused-and-resumed": [
        *begin(),
        V2_BY_HAND,
        run(Run.PAUSED, canary="try-v2"),
        learn("v2", BETTER, "300 runs, better"),
        STEP,
        run(Run.RUNNING, canary="try-v2"),
    ],
    "rolled-back-while-paused": [
        *begin(),
        V2_BY_HAND,
        run(Run.PAUSED, canary="try-v2"),
        learn("v2", WORSE, "24 runs, worse"),
    ],
    "aborted": [
        *begin(),
        *start("v2"),
        order(ActionType.ABORT, "stop-1"),
        STEP,
    ],
    "aborted-while-waiting": [
        *begin(),
        V2_BY_HAND,
        wait(seconds=5),
        apply(objects.policy("v3"), objects.canary("try-v3", candidate="v3")),
        order(ActionType.ABORT, "stop-1", canary="try-v3"),
        wait(seconds=5),
        apply(objects.canary("again-v2", candidate="v2")),
        *win("v2"),
    ],
    "ref-changed-mid-rollout": [
        *begin(),
        *start("v2"),
        *start("v3"),
        *win("v3"),
    ],
    "ref-changed-and-changed-back": [
        *begin(),
        *start("v2"),
        *start("v3"),
        set_ref("v2"),
        STEP,
        set_ref("v1"),
    ],
    "reverted-at-once": [
        *begin(),
        *start("v2"),
        *win("v2"),
        *start("v3"),
        set_ref("v1"),
    ],
    "reverted-by-a-canary": [
        *begin(revert="Canary"),
        *start("v2"),
        *win("v2"),
        set_ref("v1"),
        *win("v1"),
    ],
    "two-canaries": [
        *begin(),
        V2_BY_HAND,
        wait(seconds=5),
        apply(objects.policy("v3"), objects.canary("try-v3", candidate="v3")),
        learn("v2", WORSE, "24 runs, worse"),
        *win("v3"),
    ],
    "ref-news-while-a-person-tries-another": [
        *begin(),
        V2_BY_HAND,
        wait(seconds=5),
        *start("v3"),
        *win("v2"),
        STEP,
    ],
    "parent-missing": [
        *begin(),
        *start("v3", parentRef={"name": "v2"}),
        apply(objects.policy("v2")),
    ],
    "canaries-disabled-and-enabled": [
        canaries(enabled=False),
        *begin(),
        apply(objects.policy("v2")),
        set_ref("v2"),
        STEP,
        canaries(enabled=True),
        learn("v2", NOTHING_YET, "nothing yet"),
        canaries(enabled=False),
        learn("v2", BETTER, "300 runs, better"),
        STEP,
        canaries(enabled=True),
    ],
    "rolled-back-while-canaries-are-disabled": [
        *begin(),
        *start("v2"),
        canaries(enabled=False),
        learn("v2", WORSE, "24 runs, worse"),
    ],
    "back-to-the-previous-policy-while-canaries-are-disabled": [
        *begin(),
        *start("v2"),
        *win("v2"),
        canaries(enabled=False),
        set_ref("v1"),
    ],
}
