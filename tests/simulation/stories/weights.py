"""The weights of the CRL, or the unit of assignment, change while a rollout is under way."""

from learnops.api.canary import ActionType, Run
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, together
from tests.simulation.acts.mishaps import killed_in
from tests.simulation.acts.people import apply, begin, draw_for, order, reweigh, run, start
from tests.simulation.acts.runs import learn
from tests.simulation.evidence import BETTER, BETTER_BY_FAR, NOT_MUCH_WORSE, WORSE
from tests.simulation.stories.openings import STEP, V2_BY_HAND

COUNTED = apply(
    objects.policy("v2"),
    objects.canary("try-v2", candidate="v2", analysis=objects.analysis(gateway=True)),
)


STORIES: dict[str, list[Beat]] = {
    "weights-changed-mid-rollout": [
        *begin(),
        V2_BY_HAND,
        reweigh(grounding="1", securityCriticals="2"),
        learn("v2", WORSE, "24 runs, worse"),
    ],
    "weights-changed-and-changed-back": [
        *begin(),
        V2_BY_HAND,
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        reweigh(grounding="2.0", contradictions="0"),
        reweigh(grounding="1", securityCriticals="2"),
        STEP,
        learn("v2", BETTER, "300 runs, better, but not for a second attempt"),
        reweigh(grounding="1"),
        learn("v2", BETTER_BY_FAR, "300 runs, better by far"),
    ],
    "weights-changed-when-shown-better": [
        *begin(),
        V2_BY_HAND,
        run(Run.PAUSED, canary="try-v2"),
        learn("v2", BETTER, "300 runs, better, while paused"),
        reweigh(securityCriticals="1"),
        run(Run.RUNNING, canary="try-v2"),
    ],
    "weights-changed-when-shown-worse": [
        *begin(),
        V2_BY_HAND,
        together(learn("v2", WORSE, "24 runs, worse"), reweigh(securityCriticals="1")),
    ],
    "killed-while-a-generation-begins": [
        *begin(),
        V2_BY_HAND,
        killed_in(reweigh(securityCriticals="1"), actions=1),
        learn("v2", WORSE, "24 runs, worse"),
    ],
    "weights-changed-and-tried-again": [
        *begin(),
        V2_BY_HAND,
        reweigh(securityCriticals="1"),
        order(ActionType.ABORT, "enough", canary="try-v2"),
        order(ActionType.RETRY, "again-1", canary="try-v2"),
    ],
    "weights-changed-under-counters": [
        *begin(),
        COUNTED,
        reweigh(securityCriticals="1"),
    ],
    "unit-changed-mid-rollout": [
        *begin(),
        draw_for("Session"),
        *start("v2"),
        draw_for("TenantEpoch", epochSeconds=86_400),
        learn("v2", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        learn("v2", WORSE, "124 runs, worse"),
        *start("v3"),
    ],
}
