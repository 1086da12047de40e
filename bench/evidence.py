"""The evidence of a canary with a long log: one tick, and everything again after a restart."""

import asyncio
import time

import numpy as np
import psycopg

from bench.figure import Figure
from bench.rig import Rig
from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.prefix import open_prefixes
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.domain.evidence import anytime
from learnops.domain.evidence.types import Observations, TestPlan
from learnops.domain.observed import Key
from learnops.domain.plan import OpenRollout, Tried
from learnops.ports.runlog import LogRows

RUNS = 1_000_000
_TICKS = 30
_TICK_RUNS = 100
_CHUNK = 10_000
_KEY = Key(namespace="bench", doer="long")
_ROLLOUT = "long.0"

_FILL = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
    propensity, revision, registered_at, resolved_at, resolution, loss)
SELECT %(rollout)s, n, %(namespace)s, %(doer)s, 'r' || n, 'r' || n,
       CASE WHEN n %% 10 = 0 THEN 'candidate' ELSE 'control' END, 'p', 0.1, 2,
       now(), now(), 'Bundle', (n * 7919 %% 1000) / 1000.0
FROM generate_series(1, %(runs)s::bigint) n
"""


def run(rig: Rig) -> list[Figure]:
    """On a database of its own."""
    url = rig.stack.postgres.create_database("long")
    upgrade(url)
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Figure]:
    pool = make_pool(url, application="bench")
    await pool.open()
    try:
        log = PostgresRunLog(pool)
        await log.open_rollout(key=_KEY, rollout=_rollout())
        filled = _fill(url)
        # First, as an operator begins: its ticks are of the log whose mark it left then.
        whole = await _everything(log)
        ticks = [await _tick(log) for _ in range(_TICKS)]
        began = time.perf_counter()
        await open_prefixes(pool, recent_seconds=600)
        looked = time.perf_counter() - began
    finally:
        await pool.close()
    return [
        Figure(
            name=f"a tick: {_TICK_RUNS} new runs of a log of {RUNS:,}, median",
            value=sorted(ticks)[_TICKS // 2] * 1000,
            unit="ms",
            note=f"two transactions; filled in {filled:.0f} s",
        ),
        Figure(name="the api's look at its prefix", value=looked * 1000, unit="ms"),
        Figure(
            name=f"after a restart: all {RUNS:,} runs read and judged again",
            value=whole,
            unit="s",
            note=f"{RUNS / whole:,.0f} runs/s",
        ),
    ]


def _fill(url: str) -> float:
    values = {"rollout": _ROLLOUT, "namespace": _KEY.namespace, "doer": _KEY.doer, "runs": RUNS}
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, values)
        connection.execute("UPDATE shadow_deployments SET next_seq = %s", (RUNS + 1,))
        connection.execute("VACUUM ANALYZE deployment_routings")
    return time.monotonic() - began


async def _tick(log: PostgresRunLog) -> float:
    began = time.perf_counter()
    await _read(log, after=RUNS - _TICK_RUNS)
    return time.perf_counter() - began


async def _everything(log: PostgresRunLog) -> float:
    began = time.perf_counter()
    state = anytime.start(TestPlan())
    while len((rows := await _read(log, after=state.watermark)).seq) > 0:
        state = anytime.advance(state, _columns(rows))
    return time.perf_counter() - began


async def _read(log: PostgresRunLog, *, after: int) -> LogRows:
    return await log.resolved_prefix(
        key=_KEY,
        rollout=_ROLLOUT,
        candidate="q",
        after=after,
        limit=_CHUNK,
        grace_seconds=120,
        reader="bench",
    )


def _columns(rows: LogRows) -> Observations:
    return Observations(
        seq=np.asarray(rows.seq),
        is_candidate=np.asarray(rows.is_candidate),
        propensity=np.asarray(rows.propensity),
        loss=np.asarray(rows.loss),
        void=np.asarray(rows.void),
    )


def _rollout() -> OpenRollout:
    return OpenRollout(
        rollout=_ROLLOUT,
        canary="long",
        canary_uid="long",
        control="p",
        candidates=(Tried(name="q", identity="v1:q", attempt=1),),
        percent=10,
        maturation_seconds=600,
        crl={"weights": {"grounding": "1"}},
    )
