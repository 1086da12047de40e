"""A tenant's content and name go; what the evidence is made of stays as it is."""

import asyncio
from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.erasure import Erased, erase_tenant, follow_erasures
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import RunRow, store, stored
from learnops.api.assignment import Unit
from learnops.domain.plan import CloseRollout
from learnops.ports.runlog import LogRows
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, row, rows_of

_NAMED = "acme"
_CONTENT = '{"qav": {"note": "acme said so"}, "tenant": "acme"}'


@pytest.mark.every_postgres
async def test_content_and_name_go_and_the_evidence_stays(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("mine", arm="candidate"), draw("theirs"))
    await store(pool, rows=[_told("mine", loss=0.75), _told("theirs", tenant="other")])
    before = await _evidence(runlog)
    done = await _erase(pool)
    assert (done.runs, done.units, done.waiting) == (1, 0, 0)
    assert await _evidence(runlog) == before
    assert await rows_of(
        pool, "SELECT run_id, tenant, bundle IS NULL, arm, propensity FROM runs ORDER BY 1"
    ) == [
        ("mine", "(erased)", True, "control", 0.1),
        ("theirs", "other", False, "control", 0.1),
    ]
    found = await stored(pool, keys=[("agents", "mine")])
    assert found["agents", "mine"].loss == 0.75
    assert _NAMED not in await _dump(pool)


async def test_another_request_finds_nothing_and_is_on_record_too(pool: Pool) -> None:
    await store(pool, rows=[_told("a", rollout=None), _told("b", rollout=None)])
    assert (await _erase(pool, page=1)).runs == 2
    assert (await _erase(pool)).runs == 0
    assert await rows_of(
        pool,
        "SELECT namespace, requested_by, runs, requested_at IS NOT NULL, database_role"
        " FROM tenant_erasures ORDER BY requested_at",
    ) == [("agents", "alice", 2, True, "postgres"), ("agents", "alice", 0, True, "postgres")]


async def test_the_same_tenant_of_another_namespace_is_another_tenant(pool: Pool) -> None:
    await store(pool, rows=[replace(_told("a", rollout=None), namespace="tests")])
    assert (await _erase(pool)).runs == 0
    assert await rows_of(pool, "SELECT tenant FROM runs") == [("acme",)]


async def test_bundles_that_arrive_late_are_erased_until_the_name_is_forgotten(
    pool: Pool,
) -> None:
    await _erase(pool)
    await store(pool, rows=[_told("late", rollout=None), _told("x", tenant="b", rollout=None)])
    (done,) = await follow_erasures(pool)
    assert done.runs == 1
    assert await rows_of(pool, "SELECT runs FROM tenant_erasures") == [(1,)]
    await rows_of(pool, "UPDATE tenant_erasures SET forget_at = now() RETURNING 1")
    await follow_erasures(pool)
    assert await rows_of(pool, "SELECT salt, tenant_mark FROM tenant_erasures") == [(None, None)]
    assert await follow_erasures(pool) == []


async def test_a_unit_keeps_its_id_while_its_rollout_goes_on(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    opened = rollout("uid.1", unit=Unit.TENANT_EPOCH, epoch_seconds=3600)
    crl = {
        "weights": {"grounding": "1"},
        "overrides": [
            {"tenant": "other", "weights": {"grounding": "3"}},
            {"tenant": "acme", "weights": {"grounding": "2"}},
        ],
    }
    await runlog.open_rollout(key=KEY, rollout=replace(opened, crl=crl))
    reference = RolloutRef(rollout="uid.1", namespace="agents", doer="planner")
    drawn = [
        draw("reported", unit_id="7/acme", epoch=7),
        draw("silent", unit_id="8/acme", epoch=8),
        draw("theirs", unit_id="8/other", epoch=8),
    ]
    await registered(pool, reference, *drawn)
    await store(pool, rows=[_told("reported", rollout="uid.1")])
    assert (await _erase(pool)).waiting == 2
    # The arm of the unit is asked for again meanwhile, and found.
    (again,) = await registered(pool, reference, replace(drawn[0], run_id="second"))
    assert again is not None
    assert await rows_of(pool, "SELECT count(*) FROM deployment_routings") == [(3,)]
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.1", outcome="RolledBack"))
    (done,) = await follow_erasures(pool)
    assert (done.units, done.waiting) == (2, 0)
    units = await rows_of(pool, "SELECT unit_id FROM deployment_routings ORDER BY seq")
    assert [str(unit).startswith("erased/") for (unit,) in units] == [True, True, False]
    assert await rows_of(
        pool, "SELECT crl -> 'overrides' FROM shadow_deployments WHERE id = 'uid.1'"
    ) == [
        (
            [
                {"tenant": "other", "weights": {"grounding": "3"}},
                {"tenant": "(erased)", "weights": {"grounding": "2"}},
            ],
        )
    ]
    assert _NAMED not in await _dump(pool)


@pytest.mark.every_postgres
async def test_ingest_goes_on_meanwhile(pool: Pool) -> None:
    """Both write the same tables; what was there at the request is erased, nothing is lost."""
    await store(pool, rows=[_told(f"before-{n}", rollout=None) for n in range(200)])
    arriving = [
        store(pool, rows=[_told(f"{batch}-{n}", rollout=None) for n in range(50)])
        for batch in range(10)
    ]
    done, *_stored = await asyncio.gather(_erase(pool, page=20), *arriving)
    assert done.runs >= 200
    await follow_erasures(pool)
    assert await rows_of(pool, "SELECT count(*), count(bundle) FROM runs") == [(700, 0)]
    assert await rows_of(pool, "SELECT count(*) FROM crl_results") == [(700,)]


async def _erase(pool: Pool, *, page: int = 100) -> Erased:
    return await erase_tenant(pool, namespace="agents", tenant=_NAMED, by="alice", page=page)


def _told(
    run_id: str, *, tenant: str = _NAMED, loss: float = 0.25, rollout: str | None = "uid.0"
) -> RunRow:
    return replace(row(run_id, loss=loss, rollout=rollout), tenant=tenant, bundle=_CONTENT)


async def _evidence(runlog: PostgresRunLog) -> LogRows:
    return await runlog.resolved_prefix(
        key=KEY,
        rollout="uid.0",
        candidate="planner-v2",
        after=0,
        limit=100,
        grace_seconds=60,
        terms=["grounding"],
    )


async def _dump(pool: Pool) -> str:
    """All that the tables of the run log hold, less what is another tenant's."""
    found = []
    for table in ("runs", "deployment_routings", "unit_runs", "shadow_deployments",
                  "rollout_generations", "tenant_erasures", "tenant_erasure_units"):  # fmt: skip
        found += await rows_of(pool, f"SELECT to_jsonb(t)::text FROM {table} t")
    return " ".join(str(line) for (line,) in found if '"other"' not in str(line))
