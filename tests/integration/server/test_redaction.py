"""Personal data never reaches the database."""

from functools import partial
from statistics import median
from typing import Any

import psycopg
import pytest
from psycopg import sql

from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.integration.server.meanwhile import MOST_WAITED, meanwhile
from tests.live_doer import LiveDoer

PERSONAL = ("jane@example.com", "4111 1111 1111 1111", "536-90-4399", "(415) 555-2671")


def told(world: LiveDoer, run_id: str, **changes: Any) -> dict[str, object]:
    qav = {"question": "Who asks?", "answer": f"{PERSONAL[0]}, card {PERSONAL[1]}", "score": 0.9}
    artifacts = [{"kind": "note", "text": f"{PERSONAL[2]} {PERSONAL[3]} EMP-123456"}]
    return world.bundle(run_id, **{"qav": qav, "artifacts": artifacts, **changes})


def everything_stored(world: LiveDoer) -> str:
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


def test_personal_data_is_gone_before_it_is_stored(api: Api, world: LiveDoer) -> None:
    assert api.post("/v1/runs", told(world, "secret-run")).status == 201
    stored = everything_stored(world)
    assert "secret-run" in stored
    assert [it for it in PERSONAL if it in stored] == []
    assert "[email], card [card]" in stored
    assert "[ssn] [phone] EMP-123456" in stored
    metrics = api.get("/metrics", token=None).body
    for kind in ("email", "card", "ssn", "phone"):
        assert f'learnops_redactions_total{{kind="{kind}"}} 1.0' in metrics


def test_names_that_an_agent_chooses_are_redacted_too(api: Api, world: LiveDoer) -> None:
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
    api: Api, world: LiveDoer
) -> None:
    assert api.post("/v1/runs", told(world, "a")).status == 201
    assert api.post("/v1/runs", told(world, "a")).body["status"] == "duplicate"
    assert api.post("/v1/runs", told(world, "a", qav={"question": "Another?"})).status == 409


def test_the_doers_own_patterns_hold_from_their_change_on(api: Api, world: LiveDoer) -> None:
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


@pytest.mark.parametrize(
    "artifact",
    [
        {"log": ["536-90-4399, " * 4000] * 4},
        {"mailsByUser": {f"u{place:05d}@example.com": 1 for place in range(10_000)}},
    ],
    ids=["numbers upon numbers", "a map by address"],
)
def test_a_bundle_that_takes_long_holds_up_nobody(api: Api, world: LiveDoer, artifact: Any) -> None:
    shares = []
    for number in range(5):
        body = told(world, f"large-{number}", artifacts=[artifact])
        seen = meanwhile(api, partial(api.post, "/v1/runs", body))
        assert seen.answer.status == 201
        shares.append(seen.waited)
    assert median(shares) < MOST_WAITED, shares
    stored = everything_stored(world)
    assert "536-90" not in stored
    assert "u00007@" not in stored


def test_of_a_doer_that_is_gone_nothing_is_stored_that_an_agent_chose(
    api: Api, world: LiveDoer
) -> None:
    """Its own patterns went with it, and its registered runs are still scored."""
    world.open()
    world.traffic(revision=2, percent=50)
    wait_until(lambda: assigned(api, world).status == 200, deadline_seconds=30, what="a draw")
    world.kube.delete(f"{world.base}/doers/planner")
    named = {"metrics": {"grounding": 0.8, "contradictions": 0, "ACME-1": 3}}
    gates = [{"name": "by ACME-2", "passed": True}]
    runs = iter(range(1000))

    def is_gone() -> bool:
        return api.post("/v1/runs", told(world, f"n{next(runs)}")).status == 422

    wait_until(is_gone, deadline_seconds=30, what="the api to see that the doer is gone")
    report = told(world, "drawn", artifacts=[{"key": "ACME-3"}], gates=gates, **named)
    assert api.post("/v1/runs", report).status == 201
    signal = {"name": "tests", "value": 1, "key": "ci-7", "note": "about ACME-4"}
    body = {"namespace": world.namespace, "doer": "planner", "signals": [signal]}
    assert api.post("/v1/runs/drawn/signals", body).status == 201
    assert "ACME" not in everything_stored(world)
    assert api.get(f"/v1/runs/drawn?namespace={world.namespace}").body["loss"] < 1.0


def assigned(api: Api, world: LiveDoer) -> Any:
    body = {"namespace": world.namespace, "doer": "planner", "runs": [{"runId": "drawn"}]}
    return api.post("/v1/assignments", body)
