"""Which terms the last runs of each doer report, in one query."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.runs import store
from learnops.adapters.postgres.terms import PostgresTerms
from learnops.domain.observed import Key
from learnops.ports.runlog import RunLogUnavailableError
from learnops.ports.terms import Watched
from tests.integration.postgres.conftest import KEY
from tests.integration.postgres.helpers import row

OTHER = Key(namespace="agents", doer="coder")
V1 = Watched(key=KEY, policy="planner-v1")


async def told(pool: Pool, run_id: str, *, policy: str = "planner-v1", **terms: float) -> None:
    """A run that reports these terms."""
    breakdown = json.dumps({"terms": terms, "contributions": {}, "missing": []})
    one = replace(row(run_id, rollout=None), policy=policy, breakdown=breakdown)
    await store(pool, rows=[one])


async def test_the_last_runs_of_the_policy_are_counted(pool: Pool) -> None:
    await told(pool, "old", ragCoverage=0.0)
    await told(pool, "other", policy="planner-v2", securityCriticals=0.0)
    await told(pool, "r1", grounding=0.5, toxicity=0.0)
    await told(pool, "r2", grounding=0.1)
    await told(pool, "r3")
    nobody = Watched(key=OTHER, policy="coder-v1")
    (found,) = await PostgresTerms(pool).reported_terms(watched=[V1, nobody], runs=3)
    assert (found.key, found.policy, found.runs) == (KEY, "planner-v1", 3)
    assert found.reported == {"grounding": 2, "toxicity": 1}


async def test_a_doer_without_news_is_left_out(pool: Pool) -> None:
    await told(pool, "r1", grounding=0.5)
    terms = PostgresTerms(pool)
    (found,) = await terms.reported_terms(watched=[V1], runs=200)
    assert found.until <= datetime.now(UTC) + timedelta(minutes=1)
    seen = replace(V1, since=found.until)
    assert await terms.reported_terms(watched=[seen], runs=200) == []
    await told(pool, "r2", policy="planner-v2", grounding=0.5)
    (again,) = await terms.reported_terms(watched=[seen], runs=200)
    assert again.runs == 1


async def test_a_database_that_is_away_is_named() -> None:
    pool = make_pool("postgresql://nobody@127.0.0.1:1/none", application="test")
    await pool.open(wait=False)
    try:
        with pytest.raises(RunLogUnavailableError):
            await PostgresTerms(pool).reported_terms(watched=[V1], runs=200)
    finally:
        await pool.close()
