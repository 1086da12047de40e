"""An older database is restored as docs/how-to/back-up-and-restore.md says, beside the operator."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from learnops.adapters.postgres.migrate import upgrade
from testbed.exposition import total
from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    record,
    second_policy,
    serves,
    set_run,
    status,
    wait_event,
    wait_stage,
    wait_status,
)

Start = Callable[..., OperatorProcess]
BETTER = {"planner-v1": 0.6, "planner-v2": 0.2}
WORSE = {"planner-v1": 0.2, "planner-v2": 0.8}


@dataclass(frozen=True, kw_only=True)
class Backups:
    """`pg_dump` and `pg_restore` of the test's database."""

    stack: Stack
    url: str
    folder: Path

    def make(self, name: str) -> Path:
        path = self.folder / name
        self.stack.postgres.backup(self.url, to=path)
        return path

    def restore(self, path: Path) -> None:
        self.stack.postgres.restore(self.url, of=path)
        upgrade(self.url)  # a backup of an older version needs it


@pytest.fixture
def backups(stack: Stack, migrated: str, tmp_path: Path) -> Backups:
    """Of the database of the test's operator."""
    return Backups(stack=stack, url=migrated, folder=tmp_path)


def agents(objects: Objects, backups: Backups, losses: dict[str, float]) -> Agents:
    return Agents(objects=objects, database=backups.url, losses=losses)


def live(objects: Objects) -> None:
    """A canary of planner-v2 with half of the runs."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**HALF)
    serves(objects, "planner-v1", "planner-v2")
    wait_stage(objects, "canarydeployments", "c1", "Canary")


def promoted(objects: Objects, backups: Backups) -> Path:
    """planner-v2 is promoted; a backup from a moment before that, in the canary."""
    live(objects)
    working = agents(objects, backups, BETTER)
    working.work(runs=10)
    backup = backups.make("in-the-canary")
    working.until(lambda told: told.get("activePolicy") == "planner-v2", what="the promotion")
    wait_stage(objects, "canarydeployments", "c1", "Promoted")
    wait_stage(objects, "policies", "planner-v1", "Archived")
    assert record(objects, backups.url)[-2:] == [
        ("planner-v2", "Active"),
        ("planner-v1", "Archived"),
    ]
    return backup


def mended(objects: Objects) -> Json:
    """Wait until the operator found out; it looks at a doer at rest now and then."""

    def found() -> list[Json]:
        touched = {"metadata": {"annotations": {"touched": str(len(objects.events("planner")))}}}
        objects.api.merge(objects.path("doers", "planner"), touched)
        objects.api.merge(
            objects.path("doers", "planner"), {"metadata": {"annotations": {"touched": None}}}
        )
        return [one for one in objects.events("planner") if one["reason"] == "RecordMended"]

    (event,) = wait_until(found, what="the record to be mended", deadline_seconds=60)
    return event


def still_promoted(objects: Objects, backups: Backups) -> None:
    """Served as before, on record once more, and told once."""
    told = serves(objects, "planner-v2")
    assert (told["activePolicy"], told["previousPolicy"]) == ("planner-v2", "planner-v1")
    assert status(objects, "canarydeployments", "c1")["stage"] == "Promoted"
    assert status(objects, "policies", "planner-v1")["stage"] == "Archived"
    rows = record(objects, backups.url)
    assert rows.count(("planner-v2", "Active")) == 1
    assert rows[-1] == ("planner-v2", "Active")
    assert ("planner-v1", "Archived") in rows
    wait_event(objects, "c1", "Promoted")


def promotions(operator: OperatorProcess) -> float:
    """How many policies this process counted as made active; its counter begins at 0."""
    return total(operator.metrics(), "learnops_promotions_total")


def test_a_promotion_that_the_database_forgot_is_not_made_twice_and_is_put_on_record(
    start_operator: Start, objects: Objects, backups: Backups
) -> None:
    operator = start_operator()
    backup = promoted(objects, backups)
    revision = status(objects, "doers", "planner")["traffic"]["revision"]
    # The first policy and planner-v2; a pass counts them after all that it writes.
    wait_until(lambda: promotions(operator) == 2, what="both to be counted", deadline_seconds=30)
    backups.restore(backup)
    note = mended(objects)["note"]
    assert "planner-v2 Active" in note
    assert "Was an older database restored?" in note
    still_promoted(objects, backups)
    assert status(objects, "doers", "planner")["traffic"]["revision"] == revision
    assert promotions(operator) == 2
    # What the record is for: the doer is made again, and serves what it served.
    objects.delete("doers", "planner")
    wait_until(
        lambda: objects.api.find(objects.path("doers", "planner")) is None,
        what="planner to be gone",
        deadline_seconds=30,
    )
    objects.doer(policy="planner-v2", rollout=HALF)
    serves(objects, "planner-v2")


def test_the_same_while_the_operator_is_down(
    start_operator: Start, objects: Objects, backups: Backups
) -> None:
    operator = start_operator()
    backup = promoted(objects, backups)
    operator.stop()
    backups.restore(backup)
    operator.start()
    mended(objects)
    still_promoted(objects, backups)
    assert promotions(operator) == 0


def test_runs_that_are_gone_promote_nobody_and_their_numbers_are_judged_anew(
    start_operator: Start, objects: Objects, backups: Backups
) -> None:
    start_operator()
    live(objects)
    working = agents(objects, backups, BETTER)
    working.work(runs=10)
    backup = backups.make("early")
    set_run(objects, "Paused")
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: condition(told, "Reconciling") == ("True", "Paused"),
        what="the pause",
    )
    working.work(runs=300)
    proved = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: told["candidates"][0].get("verdict") == "Promote",
        what="the candidate to be proved",
    )
    assert int(proved["candidates"][0]["runs"]) > 100
    backups.restore(backup)
    # The numbers of the runs that are gone, handed out again to runs that say the opposite.
    agents(objects, backups, WORSE).work(runs=20)
    wait_until(
        lambda: [one for one in objects.events("c1") if "RunLogRestored" in one["note"]],
        what="the operator to say that the run log was restored",
        deadline_seconds=30,
    )
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: condition(told, "EvidenceAvailable") == ("True", "Fresh"),
        what="the evidence to be read again",
    )
    assert told["candidates"][0].get("runs", 0) <= 30
    assert told["candidates"][0]["verdict"] != "Promote"
    set_run(objects, "Running")
    agents(objects, backups, WORSE).until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the roll-back"
    )
    serves(objects, "planner-v1")
    wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    assert ("planner-v2", "Active") not in record(objects, backups.url)


def test_a_canary_that_the_database_does_not_know_is_opened_again_and_decided_by_new_runs(
    start_operator: Start, objects: Objects, backups: Backups
) -> None:
    start_operator()
    first_policy(objects, rollout=HALF)
    backup = backups.make("before-the-canary")
    second_policy(objects)
    objects.canary(**HALF)
    serves(objects, "planner-v1", "planner-v2")
    agents(objects, backups, BETTER).work(runs=20)
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: told["candidates"][0].get("runs", 0) > 0,
        what="the runs to be evidence",
    )
    backups.restore(backup)
    wait_until(
        lambda: [one for one in objects.events("c1") if "RunLogRestored" in one["note"]],
        what="the operator to say that the run log was restored",
        deadline_seconds=30,
    )
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: condition(told, "EvidenceAvailable") == ("True", "Fresh"),
        what="the rollout to be open again",
    )
    agents(objects, backups, WORSE).until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the roll-back"
    )
    wait_stage(objects, "canarydeployments", "c1", "RolledBack")
