"""News of a block wakes the operator, but figures alone are written once a tick."""

import psycopg

from learnops.adapters.postgres.wakeups import CHANNEL
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from testbed.watcher import Watcher
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import (
    condition,
    first_policy,
    follow,
    passes,
    second_policy,
    serves,
)

PIECES = 12
_LISTENING = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query = 'LISTEN ' || %s
"""


def listens(database: str) -> bool:
    """Whether news of a block reach the operator: its tick is too long to find them."""
    with psycopg.connect(database) as connection:
        return connection.execute(_LISTENING, (CHANNEL,)).fetchone() is not None


def test_figures_are_written_once_a_tick_and_a_roll_back_waits_for_none(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    operator = start_operator(tick_seconds="600")
    rollout = {
        "strategy": {"canary": {"steps": [50]}},
        "analysis": {"maturationSeconds": 60, "minCandidateRuns": 1000},
    }
    first_policy(objects, rollout=rollout)
    second_policy(objects)
    follow(objects, "planner-v2")
    serves(objects, "planner-v1", "planner-v2")
    agents = Agents(
        objects=objects, database=migrated, losses={"planner-v1": 0.5, "planner-v2": 0.5}
    )
    seen: dict[str, Json] = {}  # status by resource version

    def note(_kind: str, canary: Json) -> None:
        seen[canary["metadata"]["resourceVersion"]] = canary.get("status", {})

    def begun() -> bool:
        """The canary has told all that it tells before its first run."""
        return any(
            condition(status, "EvidenceAvailable")[0] == "True" for status in list(seen.values())
        )

    watcher = Watcher(objects.api, objects.path("canarydeployments"), note, name="canaries")
    watcher.start()
    try:
        wait_until(begun, what="the first evidence", deadline_seconds=30, explain=lambda: str(seen))
        wait_until(lambda: listens(migrated), what="the operator to listen", deadline_seconds=30)
        seen.clear()
        for _ in range(PIECES):
            before = passes(operator.metrics())
            agents.work(runs=10)
            wait_until(
                lambda before=before: passes(operator.metrics()) > before,
                what="a pass for the news",
                deadline_seconds=30,
            )
        # One for this tick, one if the clock crossed into the next.
        assert len(seen) <= 2, seen
        agents.losses["planner-v2"] = 0.9
        agents.until(lambda one: len(one["traffic"]["shares"]) == 1, what="the roll-back")
    finally:
        watcher.stop()
