"""The record of stage moves: first on the way up, never waited for on the way down."""

from collections.abc import Iterator

import pytest

from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.counted import CountedAgents, Counters, scraped
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    order,
    record,
    serves,
    status,
    wait_stage,
    wait_status,
)

COUNTED = {**HALF, "analysis": {**HALF["analysis"], "source": "Prometheus"}}


@pytest.fixture
def counters(stack: Stack) -> Iterator[Counters]:
    """Evidence that does not need the database."""
    with scraped(stack) as found:
        yield found


@pytest.fixture
def running(operator: OperatorProcess, objects: Objects) -> Objects:
    """A canary that is judged from Prometheus."""
    by_hand(objects, rollout=COUNTED)
    wait_stage(objects, "policies", "planner-v2", "Canary")
    return objects


def tries(operator: OperatorProcess, objects: Objects) -> int:
    """How often the operator wanted to promote and could not, by its log."""
    key = f"{objects.namespace}/planner"
    ended = [one for one in operator.lines() if one.get("key") == key and "rules" in one]
    told = [one["rules"][0] for one in ended if one["end"] == "unavailable"]
    return sum(rule.startswith("promote: c1") for rule in told)


def test_a_promotion_waits_for_its_record(
    running: Objects,
    operator: OperatorProcess,
    stack: Stack,
    counters: Counters,
    run_log: str,
) -> None:
    agents = CountedAgents(
        objects=running, counters=counters, losses={"planner-v1": 0.8, "planner-v2": 0.1}
    )
    served = agents.traffic()
    stack.postgres.stop()
    try:
        wait_until(
            lambda: agents.work(runs=100) and tries(operator, running) > 1,
            what="the operator to try to promote, and to try again",
            deadline_seconds=90,
        )
        assert agents.traffic() == served
        assert status(running, "doers", "planner")["activePolicy"] == "planner-v1"
        assert status(running, "policies", "planner-v2")["stage"] == "Canary"
        assert status(running, "policies", "planner-v1")["stage"] == "Active"
        assert status(running, "canarydeployments", "c1")["stage"] == "Canary"
    finally:
        stack.postgres.start()
    serves(running, "planner-v2")
    assert {("planner-v2", "Active"), ("planner-v1", "Archived")} <= set(record(running, run_log))
    wait_stage(running, "policies", "planner-v2", "Active")
    wait_stage(running, "canarydeployments", "c1", "Promoted")


def test_a_move_down_waits_for_nothing_and_is_recorded_later(
    running: Objects, stack: Stack, counters: Counters, run_log: str
) -> None:
    stack.postgres.stop()
    try:
        order(running, "Abort", "stop-1")
        told = serves(running, "planner-v1")
        (pending,) = told["pendingAudit"]
        assert (pending["policy"], pending["toStage"]) == ("planner-v2", "Draft")
        assert pending["why"] == "action stop-1: Abort"
        wait_stage(running, "canarydeployments", "c1", "Aborted")
        wait_stage(running, "policies", "planner-v2", "Draft")
        wait_until(
            lambda: running.get("doers", "planner")["metadata"].get("finalizers"),
            what="the finalizer that keeps the row",
            deadline_seconds=30,
        )
    finally:
        stack.postgres.start()
    told = wait_status(
        running,
        "doers",
        "planner",
        lambda one: not one["pendingAudit"],
        what="the row to be written",
        seconds=90,
    )
    assert record(running, run_log)[-1] == ("planner-v2", "Draft")
    wait_until(
        lambda: not running.get("doers", "planner")["metadata"].get("finalizers"),
        what="the finalizer to be off",
        deadline_seconds=30,
    )


def test_a_roll_back_needs_no_database(
    running: Objects, stack: Stack, counters: Counters, run_log: str
) -> None:
    agents = CountedAgents(
        objects=running, counters=counters, losses={"planner-v1": 0.1, "planner-v2": 0.8}
    )
    stack.postgres.stop()
    try:
        agents.until(lambda one: len(one["traffic"]["shares"]) == 1, what="the roll-back", runs=100)
        wait_stage(running, "policies", "planner-v2", "Rejected")
        wait_stage(running, "canarydeployments", "c1", "RolledBack")
    finally:
        stack.postgres.start()
    wait_until(
        lambda: record(running, run_log)[-1] == ("planner-v2", "Rejected"),
        what="the row to be written",
        deadline_seconds=90,
    )
