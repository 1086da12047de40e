"""Two operators: one acts, and the other takes over."""

import signal

from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import first_policy, status

LEASE = "/apis/coordination.k8s.io/v1/namespaces/learnops-system/leases/learnops-operator"


def test_a_standby_takes_over_from_a_killed_operator(
    objects: Objects, start_operator: Start
) -> None:
    first = start_operator(lease_seconds="8")
    first.wait_phase("active")
    second = start_operator(lease_seconds="8")
    second.wait_phase("standby")
    assert second.status("/readyz") == 200
    fence = first_policy(objects)["fence"]
    first.kill()
    second.wait_phase("active")
    objects.policy("planner-v2", version="2.0.0")
    told = wait_until(
        lambda: (one := status(objects, "policies", "planner-v2")).get("fence") and one,
        what="the second operator to act",
        deadline_seconds=30,
    )
    assert told["fence"] > fence


def test_a_stopped_operator_hands_over_at_once_and_exits_well(
    objects: Objects, start_operator: Start
) -> None:
    first = start_operator(lease_seconds="60")
    first.wait_phase("active")
    second = start_operator(lease_seconds="60")
    second.wait_phase("standby")
    first.process.signal(signal.SIGTERM)
    assert first.process.wait(timeout_seconds=60) == 0
    # It looks every 12 s, and could not take a Lease that was not released before 60 s are over.
    wait_until(lambda: second.phase() == "active", what="the handover", deadline_seconds=45)


def test_an_operator_whose_lease_is_taken_exits(objects: Objects, start_operator: Start) -> None:
    operator = start_operator()
    operator.wait_phase("active")
    objects.api.merge(LEASE, {"spec": {"holderIdentity": "somebody-else"}})
    assert operator.process.wait(timeout_seconds=30) == 1
    said = [line.get("error", "") for line in operator.lines() if line["message"] == "exit"]
    assert said == ["the Lease is held by somebody-else"]
    objects.api.merge(LEASE, {"spec": {"holderIdentity": ""}})  # somebody else is nobody


def test_a_suspended_operator_cannot_undo_what_its_successor_did(
    objects: Objects, start_operator: Start
) -> None:
    first = start_operator(lease_seconds="8")
    first.wait_phase("active")
    second = start_operator(lease_seconds="8")
    first.process.signal(signal.SIGSTOP)
    second.wait_phase("active")
    fence = first_policy(objects)["fence"]
    first.process.signal(signal.SIGCONT)
    assert first.process.wait(timeout_seconds=30) == 1
    assert status(objects, "doers", "planner")["fence"] == fence
