"""Objects that are deleted, made again, applied without their status, or unreadable."""

from tests.simulation import objects
from tests.simulation.acts.beats import Beat
from tests.simulation.acts.mishaps import lose_status, restore_traffic, run_log
from tests.simulation.acts.people import (
    apply,
    begin,
    break_object,
    delete,
    delete_slowly,
    set_ref,
    start,
)
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import BETTER, NOTHING_YET, WORSE
from tests.simulation.stories.openings import STEP, V2_BY_HAND

STORIES: dict[str, list[Beat]] = {
    "canary-unreadable-mid-rollout": [
        *begin(),
        V2_BY_HAND,
        break_object("CanaryDeployment", "try-v2", "spec.strategy: Input should be an object"),
        STEP,
    ],
    "control-made-again-with-other-content": [
        *begin(),
        *start("v2"),
        delete("Policy", "v1"),
        apply(objects.policy("v1", text="You are something else.")),
        learn("v2", BETTER, "300 runs, better than what is control by now"),
        STEP,
    ],
    "control-made-again-as-it-was": [
        *begin(),
        *start("v2"),
        delete("Policy", "v1"),
        apply(objects.policy("v1")),
        *win("v2"),
    ],
    "canary-deleted-mid-rollout": [
        *begin(),
        V2_BY_HAND,
        delete("CanaryDeployment", "try-v2"),
        STEP,
    ],
    "canary-made-again-under-its-name": [
        *begin(),
        V2_BY_HAND,
        delete("CanaryDeployment", "try-v2"),
        apply(objects.canary("try-v2", candidate="v2")),
        *win("v2"),
    ],
    "canary-deleted-slowly": [
        *begin(),
        V2_BY_HAND,
        delete_slowly("CanaryDeployment", "try-v2"),
        *win("v2"),
    ],
    "candidate-deleted-mid-rollout": [
        *begin(),
        *start("v2"),
        delete("Policy", "v2"),
    ],
    "control-restored-to-another-policy": [
        *begin(),
        *start("v2"),
        *win("v2"),
        apply(objects.policy("v3"), objects.canary("try-v3", candidate="v3")),
        restore_traffic("v1"),
    ],
    "doer-applied-again": [
        *begin(),
        *start("v2"),
        *win("v2"),
        *start("v3"),
        learn("v3", WORSE, "24 runs, worse"),
        lose_status(of_policies=True),
        STEP,
    ],
    "doer-applied-again-mid-rollout": [
        *begin(),
        *start("v2"),
        run_log(up=False),
        lose_status(of_policies=False),
        run_log(up=True),
        learn("v2", NOTHING_YET, "nothing under the new salt"),
    ],
    "invalid-objects": [
        *begin(),
        break_object("Policy", "v2", "spec.models: Field required"),
        set_ref("v2"),
        break_object("CanaryDeployment", "odd", "spec.strategy: Input should be an object"),
        set_ref("v1"),
    ],
    "policy-and-canary-without-a-doer": [
        V2_BY_HAND,
        apply(objects.policy("v1"), objects.doer(policy="v1")),
    ],
}
