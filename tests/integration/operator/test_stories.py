"""Whole rollouts: the operator process, the real API server, the real run log."""

from testbed.exposition import total
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import first_policy, follow, passes, status


def ended(objects: Objects, stage: str) -> Json:
    """The only canary, once it says that it ended so."""
    (canary,) = objects.api.get(objects.path("canarydeployments"))["items"]
    name = canary["metadata"]["name"]
    wait_until(
        lambda: status(objects, "canarydeployments", name).get("stage") == stage,
        what=f"the canary to be {stage}",
        deadline_seconds=30,
    )
    return objects.get("canarydeployments", name)


def test_the_first_policy_becomes_active_at_once(objects: Objects, start_operator: Start) -> None:
    start_operator()
    told = first_policy(objects)
    assert told["activePolicy"] == "planner-v1"
    assert told["traffic"]["shares"] == [{"policy": "planner-v1", "percent": 100}]
    policy = wait_until(
        lambda: (one := status(objects, "policies", "planner-v1")).get("stage") == "Active" and one,
        what="the policy to say so",
        deadline_seconds=30,
    )
    assert policy["digest"].startswith("v1:")
    assert policy["fence"] >= 1


def test_a_better_policy_is_promoted(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    operator = start_operator()
    first_policy(objects)
    objects.policy("planner-v2", version="2.0.0", parentRef={"name": "planner-v1"})
    follow(objects, "planner-v2")
    agents = Agents(
        objects=objects, database=migrated, losses={"planner-v1": 0.5, "planner-v2": 0.2}
    )
    told = agents.until(
        lambda one: one.get("activePolicy") == "planner-v2", what="planner-v2 to be promoted"
    )
    assert told["traffic"]["shares"] == [{"policy": "planner-v2", "percent": 100}]
    wait_until(
        lambda: status(objects, "policies", "planner-v1").get("stage") == "Archived",
        what="planner-v1 to be archived",
        deadline_seconds=30,
    )
    canary = ended(objects, "Promoted")
    seen = [one["percent"] for one in canary["status"]["history"]]
    assert [percent for percent in seen if percent in (10, 50)] == sorted(
        percent for percent in seen if percent in (10, 50)
    )
    # The first policy and planner-v2; a pass counts them after all that it writes.
    wait_until(
        lambda: total(operator.metrics(), "learnops_promotions_total", by="operator") == 2,
        what="both promotions to be counted",
        deadline_seconds=30,
        explain=operator.metrics,
    )


def test_a_worse_policy_is_rolled_back_and_rejected(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    start_operator()
    first_policy(objects)
    objects.policy("planner-v3", version="3.0.0", parentRef={"name": "planner-v1"})
    follow(objects, "planner-v3")
    agents = Agents(
        objects=objects, database=migrated, losses={"planner-v1": 0.3, "planner-v3": 0.7}
    )
    wait_until(
        lambda: len(agents.traffic()["shares"]) == 2, what="the rollout", deadline_seconds=30
    )
    revision = agents.traffic()["revision"]
    told = agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="planner-v3 to be rolled back"
    )
    assert told["traffic"]["shares"] == [{"policy": "planner-v1", "percent": 100}]
    assert told["traffic"]["revision"] > revision
    wait_until(
        lambda: status(objects, "policies", "planner-v3").get("stage") == "Rejected",
        what="planner-v3 to be rejected",
        deadline_seconds=30,
    )
    canary = ended(objects, "RolledBack")
    wait_until(
        lambda: (
            "RolledBack" in {one["reason"] for one in objects.events(canary["metadata"]["name"])}
        ),
        what="the Event",
        deadline_seconds=30,
    )


def test_in_the_steady_state_nothing_is_read_or_written(
    objects: Objects, start_operator: Start
) -> None:
    operator = start_operator()
    first_policy(objects)
    wait_until(
        lambda: status(objects, "policies", "planner-v1").get("stage") == "Active",
        what="the policy to be active",
        deadline_seconds=30,
    )
    doer = objects.get("doers", "planner")["metadata"]["resourceVersion"]
    # A change that means nothing to the operator makes it look once more at the doer.
    before = passes(operator.metrics())
    note = {"metadata": {"annotations": {"example.com/note": "hello"}}}
    changed = objects.api.merge(objects.path("policies", "planner-v1"), note)
    wait_until(
        lambda: passes(operator.metrics()) > before, what="another pass", deadline_seconds=30
    )
    assert objects.get("doers", "planner")["metadata"]["resourceVersion"] == doer
    after = objects.get("policies", "planner-v1")["metadata"]["resourceVersion"]
    assert after == changed["metadata"]["resourceVersion"]
