"""Two logs of one rollout, one with signals of every kind: evidence and verdict are the same."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from learnops.adapters.postgres import signals as table
from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.registration import Draw, RolloutRef, register
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.adapters.postgres.signals import RunSignals, Signal
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.domain.assignment import draw
from learnops.domain.observed import EvidenceReading
from learnops.domain.reward import DEFAULT_WEIGHTS
from testbed.stack import Stack
from tests.databases import migrated_database
from tests.integration.postgres.helpers import row, rows_of
from tests.integration.runtime.test_runlog_evidence import ROLLOUT, opened
from tests.unit.app.models import KEY, canary, doer

RUNS = [f"run-{number}" for number in range(600)]
REFERENCE = RolloutRef(rollout=ROLLOUT, namespace="agents", doer="planner")
_EVIDENCE = {
    "routings": "SELECT seq, run_id, arm, policy, propensity, resolution, loss"
    " FROM deployment_routings ORDER BY seq",
    "losses": "SELECT run_id, loss, weights::text, breakdown::text, partial FROM crl_results"
    " ORDER BY run_id",
    "prefix": "SELECT * FROM rollout_prefixes",
    "rollout": "SELECT id, next_seq, crl::text, outcome FROM shadow_deployments",
}


@dataclass(frozen=True)
class Seen:
    """What the operator makes of a log, and the rows that it is made of."""

    reading: EvidenceReading
    rows: dict[str, Any]


def arm_of(run_id: str) -> str:
    return draw(ROLLOUT, run_id, 50).value


def flattering(run_id: str, *keys: str | None) -> RunSignals:
    """The best for the candidate and the worst for control."""
    value = 1.0 if arm_of(run_id) == "candidate" else 0.0
    signals = [Signal(name="human", value=value, key=key) for key in keys]
    return RunSignals(
        namespace="agents",
        run_id=run_id,
        doer="planner",
        signals=signals,
        weights=DEFAULT_WEIGHTS,
    )


async def play(pool: Pool, *, with_signals: bool, difference: float) -> None:
    """Register, report: the candidate's loss is `difference` above control's 0.5, with a spread."""
    draws = [
        Draw(
            run_id=run_id,
            unit_id=run_id,
            arm=arm_of(run_id),
            policy="v2" if arm_of(run_id) == "candidate" else "v1",
            propensity=0.5,
            revision=5,
            propensities={"v1": 0.5, "v2": 0.5},
            epoch=None,
        )
        for run_id in RUNS
    ]
    await register(pool, rollout=REFERENCE, draws=draws)
    for number, run_id in enumerate(RUNS):
        if with_signals and number % 3 == 0:
            await table.append(pool, run=flattering(run_id, "early"))
    for start in range(0, len(RUNS), 100):
        rows = []
        for number, run_id in enumerate(RUNS[start : start + 100], start):
            shift = difference if arm_of(run_id) == "candidate" else 0.0
            told = row(run_id, loss=0.4 + shift + number * 37 % 100 / 500, rollout=ROLLOUT)
            told_too = flattering(run_id, None) if with_signals and number % 2 else None
            rows.append(replace(told, signals=told_too))
        await store(pool, rows=rows)
    for run_id in RUNS if with_signals else ():
        await table.append(pool, run=flattering(run_id, "late-1", "late-2"))


async def seen(stack: Stack, *, with_signals: bool, difference: float) -> Seen:
    url = migrated_database(stack.postgres)
    pool = make_pool(url, application="test", max_size=2)
    await pool.open()
    try:
        log = PostgresRunLog(pool)
        await log.open_rollout(key=KEY, rollout=opened())
        await play(pool, with_signals=with_signals, difference=difference)
        found = await RunLogEvidence(runlog=log).read(
            key=KEY, doer=doer(), canary=canary(source="RunLog"), candidate="v2"
        )
        assert isinstance(found.evidence, EvidenceReading)
        ((count,),) = await rows_of(pool, "SELECT count(*) FROM signals")
        assert bool(count) == with_signals
        rows = {name: await rows_of(pool, query) for name, query in _EVIDENCE.items()}
        return Seen(reading=found.evidence, rows=rows)
    finally:
        await pool.close()


@pytest.mark.parametrize(("difference", "crossed"), [(0.25, "rollback"), (-0.25, "promote")])
async def test_evidence_and_verdict_are_bit_identical(
    stack: Stack, difference: float, crossed: str
) -> None:
    plain = await seen(stack, with_signals=False, difference=difference)
    flattered = await seen(stack, with_signals=True, difference=difference)
    assert flattered == plain
    assert plain.reading.runs == len(RUNS)
    assert getattr(plain.reading, crossed).crossed_at is not None
