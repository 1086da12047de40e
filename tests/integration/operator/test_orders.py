"""Pause, resume, Abort and Retry, as a person orders them of a canary."""

import pytest

from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    condition,
    order,
    record,
    seen,
    serves,
    set_run,
    shares,
    status,
    wait_event,
    wait_stage,
    wait_status,
)

BETTER = {"planner-v1": 0.6, "planner-v2": 0.2}
WORSE = {"planner-v1": 0.2, "planner-v2": 0.8}


@pytest.fixture
def running(operator: OperatorProcess, objects: Objects) -> Objects:
    """A canary with half of the runs."""
    by_hand(objects, rollout=HALF)
    return objects


def crossed(told: Json) -> bool:
    """The evidence suffices to promote."""
    evidence = told["candidates"][0].get("evidence")
    return bool(evidence) and float(evidence["promote"]) >= float(evidence["promoteThreshold"])


def paused(told: Json) -> bool:
    return condition(told, "Reconciling") == ("True", "Paused")


def test_a_paused_canary_is_promoted_only_when_it_is_resumed(
    running: Objects, run_log: str
) -> None:
    set_run(running, "Paused")
    wait_status(running, "canarydeployments", "c1", paused, what="the pause to be seen")
    served = running.get("doers", "planner")["status"]["traffic"]
    agents = Agents(objects=running, database=run_log, losses=BETTER)
    agents.until(
        lambda _: crossed(status(running, "canarydeployments", "c1")), what="enough evidence"
    )
    told = status(running, "canarydeployments", "c1")
    assert told["stage"] == "Canary"
    assert told["recommendation"] == "Hold"
    assert "spec.run is Paused" in told["waitingFor"]
    assert agents.traffic() == served
    set_run(running, "Running")
    serves(running, "planner-v2")
    wait_stage(running, "canarydeployments", "c1", "Promoted")


def test_a_pause_does_not_stop_a_roll_back(running: Objects, run_log: str) -> None:
    set_run(running, "Paused")
    wait_status(running, "canarydeployments", "c1", paused, what="the pause to be seen")
    agents = Agents(objects=running, database=run_log, losses=WORSE)
    agents.until(lambda told: len(shares(told)) == 1, what="the roll-back")
    serves(running, "planner-v1")
    wait_stage(running, "policies", "planner-v2", "Rejected")
    assert wait_stage(running, "canarydeployments", "c1", "RolledBack")["endTime"]


def test_abort_gives_control_everything_and_leaves_the_candidate_a_draft(
    running: Objects, run_log: str
) -> None:
    order(running, "Abort", "stop-1")
    serves(running, "planner-v1")
    told = wait_stage(running, "canarydeployments", "c1", "Aborted")
    assert told["handledActionID"] == "stop-1"
    assert told["history"][-1]["message"] == "action stop-1: Abort"
    wait_stage(running, "policies", "planner-v2", "Draft")
    assert "stop-1" in wait_event(running, "c1", "Aborted")["note"]
    wait_until(
        lambda: ("planner-v2", "Draft") in record(running, run_log),
        what="the move down on record",
        deadline_seconds=30,
    )


def test_retry_is_another_attempt_that_must_show_more(running: Objects, run_log: str) -> None:
    agents = Agents(objects=running, database=run_log, losses=WORSE)
    agents.until(lambda told: len(shares(told)) == 1, what="the roll-back")
    first = wait_stage(running, "canarydeployments", "c1", "RolledBack")
    salt = agents.traffic()["salt"]
    order(running, "Retry", "again-1")
    serves(running, "planner-v1", "planner-v2")
    wait_stage(running, "policies", "planner-v2", "Canary")
    assert agents.traffic()["salt"] != salt
    assert ("planner-v2", "Draft") in record(running, run_log)
    agents = Agents(objects=running, database=run_log, losses=BETTER)
    agents.until(
        lambda _: (
            status(running, "canarydeployments", "c1").get("candidates", [{}])[0].get("evidence")
        ),
        what="evidence of the second attempt",
        runs=10,
    )
    (second,) = status(running, "canarydeployments", "c1")["candidates"]
    assert (first["candidates"][0]["attempt"], second["attempt"]) == (1, 2)
    needed = [float(one["evidence"]["promoteThreshold"]) for one in (*first["candidates"], second)]
    assert needed[1] > needed[0]
    agents.until(
        lambda told: told.get("activePolicy") == "planner-v2", what="the second attempt to win"
    )


def test_an_order_that_was_done_is_not_done_again(running: Objects) -> None:
    order(running, "Abort", "once-1")
    wait_stage(running, "canarydeployments", "c1", "Aborted")
    # The same id under another name of what to do, in a spec that changed besides.
    order(running, "Retry", "once-1")
    set_run(running, "Paused")
    told = seen(running, "canarydeployments", "c1")
    assert (told["stage"], told["retries"]) == ("Aborted", 0)
    serves(running, "planner-v1")


def test_a_retry_that_does_not_apply_is_said_and_counts_as_done(running: Objects) -> None:
    order(running, "Retry", "too-early")
    assert "does nothing in stage Canary" in wait_event(running, "c1", "ActionIgnored")["note"]
    told = status(running, "canarydeployments", "c1")
    assert (told["stage"], told["handledActionID"]) == ("Canary", "too-early")
    serves(running, "planner-v1", "planner-v2")
