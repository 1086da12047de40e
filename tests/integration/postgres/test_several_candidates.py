"""Several candidates in one rollout: attempts, units and figures are told of each."""

from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.figures import PostgresFigures
from learnops.adapters.postgres.registration import Draw, RolloutRef
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.api.assignment import Unit
from learnops.domain.plan import OpenGeneration, Tried
from learnops.ports.runlog import LogRows, RunLogUnavailableError
from tests.integration.postgres.conftest import KEY, rollout
from tests.integration.postgres.helpers import draw, registered, reported

BOTH = (
    Tried(name="planner-v2", identity="v1:two", attempt=1),
    Tried(name="planner-v3", identity="v1:three", attempt=1),
)
RUNS = RolloutRef(rollout="r.0", namespace="agents", doer="planner")
SESSIONS = RolloutRef(rollout="s.0", namespace="agents", doer="planner")
PI = {"planner-v1": 0.5, "planner-v2": 0.2, "planner-v3": 0.3}


@pytest.fixture
async def runlog(pool: Pool) -> PostgresRunLog:
    """One rollout that draws for runs and one for sessions, each of two candidates."""
    log = PostgresRunLog(pool)
    for opened in (rollout("r.0"), rollout("s.0", unit=Unit.SESSION)):
        await log.open_rollout(key=KEY, rollout=replace(opened, candidates=BOTH))
    return log


def drawn(run_id: str, policy: str, *, unit_id: str | None = None) -> Draw:
    arm = "control" if policy == "planner-v1" else "candidate"
    plain = draw(run_id, unit_id=unit_id, arm=arm, propensity=0.5)
    return replace(plain, policy=policy, propensities=PI)


async def prefix(log: PostgresRunLog, candidate: str, *, rollout: str = "r.0") -> LogRows:
    return await log.resolved_prefix(
        key=KEY, rollout=rollout, candidate=candidate, after=0, limit=100, grace_seconds=60
    )


async def test_a_generation_is_an_attempt_of_those_that_are_judged_in_it(
    runlog: PostgresRunLog,
) -> None:
    assert await runlog.attempts(key=KEY) == {"v1:two": 2, "v1:three": 2}
    again = OpenGeneration(rollout="r.0", number=2, crl={}, candidates=("planner-v3",))
    await runlog.open_generation(key=KEY, generation=again)
    await runlog.open_generation(key=KEY, generation=again)
    assert await runlog.attempts(key=KEY) == {"v1:two": 2, "v1:three": 3}
    dropped, judged = await prefix(runlog, "planner-v2"), await prefix(runlog, "planner-v3")
    assert [(it.number, it.attempt) for it in judged.generations] == [(1, 1), (2, 3)]
    assert [(it.number, it.attempt) for it in dropped.generations] == [(1, 1), (2, 1)]


async def test_a_candidate_with_which_it_was_not_opened_has_no_evidence(
    runlog: PostgresRunLog,
) -> None:
    with pytest.raises(RunLogUnavailableError, match="not in the run log with candidate"):
        await prefix(runlog, "planner-v9")


async def test_a_unit_keeps_its_candidate_and_each_candidate_sees_the_other_as_neither(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    (first,) = await registered(pool, SESSIONS, drawn("a", "planner-v3", unit_id="s"))
    later = drawn("b", "planner-v2", unit_id="s")
    other = drawn("c", "planner-v2", unit_id="o")
    assert (await registered(pool, SESSIONS, later, other))[0] == first
    assert first is not None
    assert (first.policy, first.propensity) == ("planner-v3", 0.5)
    for run, loss in (("a", 0.2), ("b", 0.4), ("c", 0.9)):
        await reported(pool, run, loss=loss)
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE deployment_routings SET window_ends_at = now() - interval '1 s'"
        )
    seen = {it.name: await prefix(runlog, it.name, rollout="s.0") for it in BOTH}
    assert [list(it.is_candidate) for it in seen.values()] == [[False, True], [True, False]]
    assert [list(it.is_other) for it in seen.values()] == [[True, False], [False, True]]
    assert [list(it.propensity) for it in seen.values()] == [[0.2, 0.2], [0.3, 0.3]]
    assert [list(it.control_propensity) for it in seen.values()] == [[0.5, 0.5]] * 2
    assert [list(it.loss) for it in seen.values()] == [[pytest.approx(0.3), 0.9]] * 2


async def test_figures_weigh_each_candidate_by_its_own_probability(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    for number, policy in enumerate((*PI, "planner-v1", "planner-v3")):
        await registered(pool, RUNS, drawn(str(number), policy))
        await reported(pool, str(number), loss=0.25)
    figures = PostgresFigures(pool)
    for candidate, runs in (("planner-v2", 1), ("planner-v3", 2)):
        found = await figures.pairs(key=KEY, rollout="r.0", candidate=candidate, after=0, limit=100)
        assert found.until == 5
        sums = {it.is_candidate: it for it in found.sums}
        assert (sums[True].runs, sums[False].runs) == (runs, 2)
        assert sums[True].weight == pytest.approx(runs / PI[candidate])
        assert sums[False].weight == pytest.approx(2 / PI["planner-v1"])
