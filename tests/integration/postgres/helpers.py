"""Short ways to register and report runs in tests of the run log."""

from collections.abc import Sequence

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.registration import Draw, Registered, RolloutRef, register
from learnops.adapters.postgres.runs import RunKey, RunRow, store
from learnops.domain.crl.terms import Term


def draw(
    run_id: str,
    *,
    unit_id: str | None = None,
    arm: str = "control",
    propensity: float = 0.1,
    revision: int = 7,
    epoch: int | None = None,
) -> Draw:
    """A draw of the rollout of the fixtures."""
    return Draw(
        run_id=run_id,
        unit_id=unit_id or run_id,
        arm=arm,
        policy="planner-v2" if arm == "candidate" else "planner-v1",
        propensity=propensity,
        revision=revision,
        propensities={"planner-v1": 1 - propensity, "planner-v2": propensity},
        epoch=epoch,
    )


async def registered(pool: Pool, rollout: RolloutRef, *draws: Draw) -> list[Registered | None]:
    """Register these."""
    return await register(pool, rollout=rollout, draws=draws)


def row(
    run_id: str,
    *,
    loss: float = 0.25,
    rollout: str | None = "uid.0",
    void: bool = False,
    content: bytes = b"content",
    namespace: str = "agents",
) -> RunRow:
    """A scored run."""
    return RunRow(
        namespace=namespace,
        run_id=run_id,
        doer="planner",
        policy="planner-v1",
        arm="control",
        propensity=0.1,
        revision=7,
        rollout=rollout,
        tenant=None,
        duration_milliseconds=812.0,
        cost_usd=0.02,
        bundle="{}",
        content_hash=content,
        loss=loss,
        weights='{"grounding": 1.0}',
        breakdown='{"terms": {}, "contributions": {}, "missing": []}',
        partial=False,
        void=void,
        terms={Term.GROUNDING: loss},
    )


async def reported(pool: Pool, *run_ids: str, loss: float = 0.25) -> set[RunKey]:
    """Report these runs with one loss."""
    return await store(pool, rows=[row(run_id, loss=loss) for run_id in run_ids])


async def filled(pool: Pool) -> int:
    """Make all connections of the pool; how many.

    Whoever finds none waits a few seconds at most, so no more than these may want one at once.
    """
    await pool.resize(pool.max_size)
    await pool.wait(60)
    return pool.max_size


async def rows_of(
    pool: Pool, query: str, values: Sequence[object] = ()
) -> list[tuple[object, ...]]:
    """The rows of a query."""
    async with pool.connection() as connection:
        cursor = await connection.execute(query, values)  # type: ignore[arg-type]
        return list(await cursor.fetchall())
