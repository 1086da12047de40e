"""Personal data never reaches the database."""

from typing import Any

import psycopg
from psycopg import sql

from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.integration.server.world import World

PERSONAL = ("jane@example.com", "4111 1111 1111 1111", "536-90-4399", "(415) 555-2671")


def told(world: World, run_id: str, **changes: Any) -> dict[str, object]:
    qav = {"question": "Who asks?", "answer": f"{PERSONAL[0]}, card {PERSONAL[1]}", "score": 0.9}
    artifacts = [{"kind": "note", "text": f"{PERSONAL[2]} {PERSONAL[3]} EMP-123456"}]
    return world.bundle(run_id, **{"qav": qav, "artifacts": artifacts, **changes})


def everything_stored(world: World) -> str:
    """Every row of every table of ours, as text."""
    with psycopg.connect(world.database) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        rows = [
            str(row)
            for (table,) in tables
            for row in connection.execute(
                sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(table))
            )
        ]
    return "\n".join(rows)


def test_personal_data_is_gone_before_it_is_stored(api: Api, world: World) -> None:
    assert api.post("/v1/runs", told(world, "secret-run")).status == 201
    stored = everything_stored(world)
    assert "secret-run" in stored
    assert [it for it in PERSONAL if it in stored] == []
    assert "[email], card [card]" in stored
    assert "[ssn] [phone] EMP-123456" in stored
    metrics = api.get("/metrics", token=None).body
    for kind in ("email", "card", "ssn", "phone"):
        assert f'learnops_redactions_total{{kind="{kind}"}} 1.0' in metrics


def test_names_that_an_agent_chooses_are_redacted_too(api: Api, world: World) -> None:
    named = told(
        world,
        "named",
        qav={"asked": {PERSONAL[0]: "yes", "joe@example.com": "no"}},
        artifacts=[{PERSONAL[3]: 1}],
        metrics={"grounding": 0.8, "contradictions": 0, f"to {PERSONAL[0]}": 3},
        costs={"costUSD": 0.02, f"card {PERSONAL[1]}": 1},
        gates=[{"name": f"reviewed by {PERSONAL[0]}", "passed": True}],
    )
    assert api.post("/v1/runs", named).status == 201
    stored = everything_stored(world)
    assert [it for it in (*PERSONAL, "joe@") if it in stored] == []
    with psycopg.connect(world.database) as connection:
        row = connection.execute("SELECT bundle, cost_usd FROM runs").fetchone()
    assert row is not None
    bundle, cost = row
    assert bundle["qav"] == {"asked": {"[email]": "yes", "[email] 2": "no"}}
    assert bundle["metrics"] == {"grounding": 0.8, "contradictions": 0, "to [email]": 3}
    assert (bundle["costs"], cost) == ({"costUSD": 0.02, "card [card]": 1}, 0.02)
    assert bundle["gates"] == [{"name": "reviewed by [email]", "passed": True}]
    assert api.post("/v1/runs", named).body["status"] == "duplicate"


def test_a_repeated_report_is_a_duplicate_and_another_one_a_conflict(
    api: Api, world: World
) -> None:
    assert api.post("/v1/runs", told(world, "a")).status == 201
    assert api.post("/v1/runs", told(world, "a")).body["status"] == "duplicate"
    assert api.post("/v1/runs", told(world, "a", qav={"question": "Another?"})).status == 409


def test_the_doers_own_patterns_hold_from_their_change_on(api: Api, world: World) -> None:
    patterns = [{"name": "employee", "pattern": "EMP-[0-9]{6}"}]
    world.kube.merge(f"{world.base}/doers/planner", {"spec": {"redaction": {"patterns": patterns}}})
    runs = iter(range(1000))

    def is_redacted() -> bool:
        run_id = f"r{next(runs)}"
        assert api.post("/v1/runs", told(world, run_id)).status == 201
        with psycopg.connect(world.database) as connection:
            row = connection.execute(
                "SELECT bundle::text FROM runs WHERE run_id = %s", (run_id,)
            ).fetchone()
        return row is not None and "[employee]" in row[0] and "EMP-" not in row[0]

    wait_until(is_redacted, deadline_seconds=30, what="the doer's own pattern to be in force")
