"""Each registration has exactly one generation, however closely they follow one another."""

import asyncio

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.generations import frozen_crl
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import registrations
from learnops.domain.plan import OpenGeneration
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, rows_of


def weighed(number: int) -> OpenGeneration:
    """The generation of that number, whose weights tell it."""
    crl = {"weights": {"grounding": str(number)}}
    return OpenGeneration(
        rollout=ROLLOUT.rollout, number=number, crl=crl, candidates=("planner-v2",)
    )


async def test_registrations_and_generations_at_once(pool: Pool, runlog: PostgresRunLog) -> None:
    async def register(agent: int) -> None:
        for number in range(12):
            await registered(pool, ROLLOUT, draw(f"a{agent}-{number}"))

    async def reweigh() -> None:
        for number in range(2, 8):
            await runlog.open_generation(key=KEY, generation=weighed(number))
            await runlog.open_generation(key=KEY, generation=weighed(number))

    await asyncio.gather(*(register(agent) for agent in range(3)), reweigh())
    rows = await rows_of(pool, "SELECT seq, run_id FROM deployment_routings ORDER BY seq")
    assert [seq for seq, _ in rows] == list(range(1, 37))
    starts = await rows_of(
        pool, "SELECT generation, first_seq FROM rollout_generations ORDER BY generation"
    )
    assert [number for number, _ in starts] == [2, 3, 4, 5, 6, 7]
    assert [first for _, first in starts] == sorted(first for _, first in starts)
    keys = [(KEY.namespace, str(run)) for _, run in rows]
    found = await registrations(pool, keys=keys)
    for (seq, _), key in zip(rows, keys, strict=True):
        begun = [number for number, first in starts if first <= seq]
        assert found[key].generation == max(begun, default=1)


@pytest.mark.every_postgres
async def test_the_weights_of_each_generation_are_kept(pool: Pool, runlog: PostgresRunLog) -> None:
    await runlog.open_generation(key=KEY, generation=weighed(2))
    found = await frozen_crl(pool, generations=[("uid.0", 1), ("uid.0", 2)])
    assert found == {
        ("uid.0", 1): rollout().crl,
        ("uid.0", 2): {"weights": {"grounding": "2"}},
    }
