"""An order that was done stays done, whoever looks at it next."""

from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    order,
    passes,
    serves,
    status,
    wait_stage,
)


def test_an_order_is_not_done_again_by_the_next_operator(
    objects: Objects, start_operator: Start
) -> None:
    operator = start_operator(lease_seconds="8")
    by_hand(objects, rollout=HALF)
    order(objects, "Abort", "stop-1")
    wait_stage(objects, "canarydeployments", "c1", "Aborted")
    order(objects, "Retry", "again-1")
    serves(objects, "planner-v1", "planner-v2")
    told = wait_stage(objects, "canarydeployments", "c1", "Canary")
    assert (told["retries"], told["handledActionID"]) == (1, "again-1")
    operator.kill()
    served = objects.get("doers", "planner")["status"]["traffic"]
    successor = start_operator(lease_seconds="8")
    wait_until(lambda: passes(successor.metrics()) > 0, what="its first pass", deadline_seconds=60)
    assert status(objects, "canarydeployments", "c1")["retries"] == 1
    assert objects.get("doers", "planner")["status"]["traffic"] == served
