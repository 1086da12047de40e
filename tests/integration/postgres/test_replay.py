"""`learnops crl replay` of a run log: what runs and rollouts would have been by other weights."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.generations import open_generation
from learnops.adapters.postgres.registration import void
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import RunRow, store
from learnops.adapters.postgres.timeouts import resolve_timeouts
from learnops.adapters.postgres.whatif import reading
from learnops.api.assignment import Unit
from learnops.cli.environment import DATABASE_URL
from learnops.cli.main import main
from learnops.domain.plan import CloseRollout, OpenGeneration
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, row

Replay = Callable[..., dict[str, Any]]
DOER = """
kind: Doer
metadata: {{name: planner}}
spec:
  crl: {{{crl}}}
"""


@pytest.fixture
def replay(migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Replay:
    """Run the command on the database; what it prints as JSON."""
    monkeypatch.setenv(DATABASE_URL, migrated)

    def of(*arguments: str, code: int = 0, **files: str) -> dict[str, Any]:
        named: list[str] = []
        for option, text in files.items():
            (tmp_path / option).write_text(text)
            named += [f"--{option}", str(tmp_path / option)]
        assert (
            main(["crl", "replay", "planner", "-n", "agents", "-o", "json", *arguments, *named])
            == code
        )
        said = capsys.readouterr()
        return dict(json.loads(said.out)) if said.out else {"error": said.err}

    return of


def scored(run_id: str, *, policy: str, arm: str, bundle: Any = None, **terms: float) -> RunRow:
    """A run that was scored by grounding and contradictions alike."""
    told = {name: terms.get(name, 1.0) for name in ("grounding", "contradictions")}
    weights = json.dumps(dict.fromkeys(told, 1.0))
    loss = sum(told.values()) / 2
    one = row(run_id, loss=loss)
    return replace(
        one,
        policy=policy,
        arm=arm,
        weights=weights,
        terms=terms,
        partial=len(terms) < 2,
        bundle=json.dumps(bundle or {}),
        breakdown=json.dumps({"terms": terms, "contributions": {}, "missing": []}),
    )


async def canary(pool: Pool, *, runs: int, prefix: str = "r", session: int = 1) -> None:
    """Half of the runs each; the candidate grounds better and contradicts itself more."""
    chance = random.Random(11)
    for place in range(0, runs, session):
        arm = chance.choice(["candidate", "control"])
        ids = [f"{prefix}{place + step}" for step in range(session)]
        unit = ids[0] if session > 1 else None
        drawn = [draw(it, arm=arm, propensity=0.5, unit_id=unit) for it in ids]
        await registered(pool, ROLLOUT, *drawn)
        good, bad = chance.betavariate(2, 8), chance.betavariate(8, 2)
        terms = {"grounding": 0.5, "contradictions": 0.5}
        if arm == "candidate":
            terms = {"grounding": good, "contradictions": bad}
        policy = "planner-v2" if arm == "candidate" else "planner-v1"
        await store(pool, rows=[scored(it, policy=policy, arm=arm, **terms) for it in ids])


def by_arm(told: dict[str, Any]) -> dict[str, Any]:
    return {group["arm"]: group for group in told["groups"]}


async def test_other_weights_change_a_verdict_and_nothing_is_written(
    pool: Pool, runlog: PostgresRunLog, replay: Replay, migrated: str
) -> None:
    await canary(pool, runs=400)
    told = replay("--weights", "grounding=1")
    control, candidate = by_arm(told)["control"], by_arm(told)["candidate"]
    assert told["runs"] == 400 == control["runs"] + candidate["runs"]
    assert control["lossWouldBe"] == pytest.approx(0.5)
    assert candidate["loss"] == pytest.approx(0.5, abs=0.02)
    assert candidate["lossWouldBe"] == pytest.approx(0.2, abs=0.02)
    parts = {it["term"]: it["partWouldBe"] - it["part"] for it in candidate["terms"]}
    assert parts["contradictions"] == pytest.approx(-0.4, abs=0.02)
    assert sum(parts.values()) == pytest.approx(candidate["difference"])
    (one,) = told["canaries"]
    assert (one["canary"], one["candidate"], one["recorded"]) == (
        "planner-v2-1f3a",
        "planner-v2",
        None,
    )
    assert (one["verdict"]["verdict"], one["analysis"]) == ("Continue", "default")
    assert one["verdictWouldBe"]["verdict"] == "Promote"
    assert one["changed"]
    assert any("--canaries" in note for note in told["notes"])
    with reading(migrated) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM runs")


async def test_the_same_weights_change_nothing(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    await canary(pool, runs=200)
    told = replay("--weights", "grounding=2,contradictions=2")
    differences = [it["difference"] for it in told["groups"]]
    assert differences == pytest.approx([0.0, 0.0], abs=1e-12)
    (one,) = told["canaries"]
    assert (one["changed"], one["verdict"]) == (False, one["verdictWouldBe"])


async def test_what_was_not_reported_counts_one_and_is_told(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    rows = [scored(f"r{it}", policy="planner-v1", arm="control", grounding=0.2) for it in range(4)]
    await store(pool, rows=[replace(it, rollout=None) for it in rows])
    told = replay("--weights", "grounding=1,ragCoverage=3")
    (group,) = told["groups"]
    assert group["lossWouldBe"] == pytest.approx(0.2 / 4 + 0.75)
    assert (group["partial"], group["partialWouldBe"]) == (4, 4)
    assert told["notReported"] == {"ragCoverage": 4}
    assert told["notes"][0].startswith("ragCoverage: no run reported it")
    assert told["canaries"] == []


async def test_a_whole_doer_brings_budgets_extra_terms_and_tenants(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    bundles = [
        {"costs": {"costUSD": 1.5}, "metrics": {"tox": 2}},
        {"costs": {"costUSD": 1.5}, "budget": {"maxCostUSD": 1.2}, "metrics": {"tox": 1}},
        {"metrics": {"tox": "much"}},
    ]
    names = ("r0", "r1", "r2")
    rows = [
        replace(
            scored(name, policy="planner-v1", arm="control", bundle=bundle, grounding=0.0),
            rollout=None,
            tenant="acme" if name == "r2" else None,
        )
        for name, bundle in zip(names, bundles, strict=True)
    ]
    await store(pool, rows=rows)
    crl = (
        'weights: {costOverBudget: "1"}, budget: {costUSD: "1"}, '
        'extraTerms: [{name: toxicity, metric: tox, cap: "4", weight: "1"}], '
        'overrides: [{tenant: acme, weights: {grounding: "2", costOverBudget: "0"}}]'
    )
    told = replay(doer=DOER.format(crl=crl))
    (group,) = told["groups"]
    # (0.5 + 0.5)/2; (0.25 + 0.25)/2; acme: grounding 0 counts 2, toxicity is no number: 1 of 3.
    assert group["lossWouldBe"] == pytest.approx((0.5 + 0.25 + 1 / 3) / 3)
    assert told["notReported"] == {"toxicity": 1}


async def test_withdrawn_and_timed_out_runs_are_judged_as_they_were(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    await canary(pool, runs=28)
    await registered(pool, ROLLOUT, draw("late", propensity=0.5), draw("gone", propensity=0.5))
    await void(pool, namespace="agents", doer="planner", run_ids=["gone"])
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE deployment_routings SET registered_at = now() - interval '2 hours'"
        )
        await resolve_timeouts(connection, rollouts=["uid.0"])
    await registered(pool, ROLLOUT, draw("open", propensity=0.5))
    (one,) = replay("--weights", "grounding=1,contradictions=1")["canaries"]
    assert one["verdict"] == one["verdictWouldBe"]
    assert one["verdict"]["run"] == 30  # not the one that is still open


async def test_sessions_are_judged_by_the_means_of_their_runs(pool: Pool, replay: Replay) -> None:
    runlog = PostgresRunLog(pool)
    await runlog.open_rollout(key=KEY, rollout=rollout(unit=Unit.SESSION))
    await canary(pool, runs=600, session=3)
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE deployment_routings SET window_ends_at = now() - interval '1 hour', "
            "registered_at = now() - interval '2 hours'"
        )
    await runlog.resolved_prefix(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=1, grace_seconds=60
    )
    told = replay("--weights", "grounding=1")
    (one,) = told["canaries"]
    assert one["verdict"]["run"] == 200
    assert one["verdictWouldBe"]["verdict"] == "Promote"
    (same,) = replay("--weights", "grounding=1,contradictions=1")["canaries"]
    assert same["verdict"] == same["verdictWouldBe"]


async def test_the_newest_generation_is_judged_at_its_attempt(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    await canary(pool, runs=50)
    generation = OpenGeneration(
        rollout="uid.0",
        number=2,
        crl={"weights": {"grounding": "1"}},
        candidates=("planner-v2",),
    )
    async with pool.connection() as connection:
        await open_generation(connection, key=KEY, generation=generation)
    await canary(pool, runs=300, prefix="s")
    (one,) = replay("--weights", "grounding=1")["canaries"]
    assert one["firstRun"] == 51
    assert one["verdictWouldBe"]["verdict"] == "Promote"
    assert one["verdictWouldBe"]["run"] <= 300


async def test_a_canary_is_judged_by_its_own_analysis(
    pool: Pool, runlog: PostgresRunLog, replay: Replay
) -> None:
    await canary(pool, runs=400)
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.0", outcome="Promoted"))
    own = """
kind: List
items:
- kind: CanaryDeployment
  metadata: {name: planner-v2-1f3a}
  spec:
    doerRef: {name: planner}
    candidateRefs: [{name: planner-v2}]
    analysis: {guardrails: [{term: contradictions}]}
"""
    (one,) = replay("--weights", "grounding=1", canaries=own)["canaries"]
    assert (one["analysis"], one["recorded"]) == ("own", "Promoted")
    assert one["verdictWouldBe"]["verdict"] == "Rollback"
    assert one["verdictWouldBe"]["culprit"] == "contradictions"


def test_a_doer_without_runs_is_named(replay: Replay) -> None:
    told = replay("--weights", "grounding=1", code=2)
    assert "no run of doer planner in namespace agents" in told["error"]


def test_no_database_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql://nobody@127.0.0.1:1/none")
    assert main(["crl", "replay", "planner", "--weights", "grounding=1"]) == 1
    assert "the run log:" in capsys.readouterr().err
