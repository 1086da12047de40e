"""A run log that is restored from an older copy."""

from learnops.api.canary import ActionType
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, together
from tests.simulation.acts.mishaps import lose_status, restore_log
from tests.simulation.acts.people import apply, begin, delete, order, start
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import NOTHING_YET, RESTORED, WORSE, reading
from tests.simulation.stories.openings import V2_BY_HAND

STORIES: dict[str, list[Beat]] = {
    "restored-after-a-promotion": [
        *begin(),
        *start("v2"),
        *win("v2"),
        restore_log(rows=2, rollouts=1),
        *start("v3"),
        *win("v3"),
        restore_log(rows=2, rollouts=0),
        lose_status(of_policies=True),
    ],
    "restored-after-a-rejection": [
        *begin(),
        *start("v2"),
        learn("v2", WORSE, "200 runs, worse"),
        restore_log(rows=1, rollouts=0),
        delete("Policy", "v2"),
        apply(objects.policy("v2")),
    ],
    "restored-after-an-abort": [
        *begin(),
        V2_BY_HAND,
        order(ActionType.ABORT, "enough"),
        restore_log(rows=1, rollouts=0),
        apply(objects.canary("again-v2", candidate="v2")),
    ],
    "restored-to-before-the-rollout": [
        *begin(),
        *start("v2"),
        learn("v2", reading(promote=50, candidate=20), "20 runs, better already"),
        together(
            restore_log(rows=1, rollouts=0), learn("v2", RESTORED, "the rollout is not there")
        ),
        learn("v2", NOTHING_YET, "no run since"),
        *win("v2"),
    ],
    "verdict-of-runs-that-are-gone": [
        *begin(),
        *start("v2"),
        learn("v2", reading(promote=50, candidate=20), "20 runs, better already"),
        learn("v2", RESTORED, "an older database is restored"),
        learn("v2", reading(promote=3, candidate=60), "what is left, and new runs: 60"),
        *win("v2"),
    ],
    "verdict-of-runs-that-are-gone-unseen": [
        *begin(),
        *start("v2"),
        learn("v2", reading(promote=50, candidate=20), "20 runs, better already"),
        learn("v2", reading(promote=3, candidate=60), "60 runs in an older database, restored"),
        learn("v2", WORSE, "200 runs"),
    ],
}
