"""What was deleted while no operator ran."""

from tests.integration.objects import Objects
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import HALF, by_hand, serves, wait_event, wait_stage


def test_a_canary_deleted_meanwhile_gives_its_traffic_back(
    objects: Objects, start_operator: Start
) -> None:
    operator = start_operator(lease_seconds="8")
    by_hand(objects, rollout=HALF)
    operator.kill()
    objects.delete("canarydeployments", "c1")
    served = objects.get("doers", "planner")["status"]["traffic"]
    assert len(served["shares"]) == 2
    start_operator(lease_seconds="8")
    told = serves(objects, "planner-v1")
    assert told["traffic"]["revision"] == served["revision"] + 1
    wait_stage(objects, "policies", "planner-v2", "Draft")
    wait_event(objects, "planner", "CanaryDeleted")
