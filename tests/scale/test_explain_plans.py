"""Every statement of the Postgres adapters on a log of a million runs: no table is read as a whole,
and what is read follows what was asked for.

Three times: with fresh statistics; in a young log, without any, where triggers and the checks of
foreign keys still have the plans that they made while all was empty; and with every plan kept from
then, as a client would have it that prepares its statements.
"""

import asyncio

import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from testbed.postgres import Postgres
from testbed.stack import Stack
from tests.scale.explained import Explained, Recorder
from tests.scale.hot_paths import HotPaths
from tests.scale.long_log import LARGE, analyze, empty, fill, quiet
from tests.scale.statements import same, statements

RUNS = 1_000_000
_FEW = 20_000
# A look-up by key goes through three levels of an index and one of the table; a write through
# each of its indexes. Both, and their checks, for every row that is asked for.
_BLOCKS, _BLOCKS_A_ROW = 400, 60
_ROWS, _ROWS_A_ROW = 400, 12
# With a plan that was kept these read too much. They never have one: the pool prepares nothing
# (test_the_pool_keeps_no_plans), and planned for the log as it is, known or not, they do not.
_NEVER_KEPT = {
    "figures._VOLUME",
    "pairs._TELL",
    "prefix._ROLLOUTS",
    "registration._VOID",
    "runs._RESOLVE",
    "signals._LATEST",
    "signals._WRITE",
    "units.RESOLVE_RUNS",
    "units._TIME_OUT_RUNS",
}
# Before the first statistics, which come within a minute, it sorts all runs of a doer.
_NOT_YOUNG = {"terms._READ"}


@pytest.fixture(scope="module")
def walks(stack: Stack) -> dict[str, list[Explained]]:
    """What was seen, by how it was planned; some 90 s."""
    return asyncio.run(_walks(stack.postgres))


async def _walks(server: Postgres) -> dict[str, list[Explained]]:
    """A short log first: it tells which statements there are, with their types."""
    short, known = _database(server), Recorder()
    fill(short, runs=_FEW)
    await _walk(short, known, runs=_FEW, tag="first")
    url, recorder = _database(server), Recorder()
    async with recorder.pool(url) as pool:
        await HotPaths(recorder=recorder, pool=pool, runs=RUNS, tag="begin").begin()
        empty(url)
        await recorder.keep_plans(pool, known)
        fill(url, runs=RUNS)
        recorder.keep, recorder.found = True, []
        await HotPaths(recorder=recorder, pool=pool, runs=RUNS, tag="kept").walk()
        recorder.keep, recorder.found, kept = False, [], recorder.found
        await HotPaths(recorder=recorder, pool=pool, runs=RUNS, tag="young").walk()
    analyze(url)
    fresh = Recorder()
    await _walk(url, fresh, runs=RUNS, tag="fresh")
    return {"kept": kept, "young": recorder.found, "fresh": fresh.found}


def _database(server: Postgres) -> str:
    url = server.create_database("log")
    upgrade(url)
    quiet(url)
    return url


async def _walk(url: str, recorder: Recorder, *, runs: int, tag: str) -> None:
    async with recorder.pool(url) as pool:
        await HotPaths(recorder=recorder, pool=pool, runs=runs, tag=tag).walk()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("planned", ["fresh", "young", "kept"])
@pytest.mark.parametrize("name", sorted(statements()))
def test_it_reads_what_it_was_asked_for(
    walks: dict[str, list[Explained]], name: str, planned: str
) -> None:
    pattern = statements()[name]
    found = [it for it in walks[planned] if pattern.fullmatch(same(it.text))]
    assert found, (
        f"{name} is in no hot path of tests/scale/hot_paths.py: add the call that sends it"
    )
    assert all(it.kept == (planned == "kept") for it in found), "was it sent with other types?"
    troubles = [it for each in found for it in trouble(each)]
    if (planned == "kept" and name in _NEVER_KEPT) or (planned == "young" and name in _NOT_YOUNG):
        assert troubles, f"take {name} off the list"
    else:
        assert troubles == []


def trouble(each: Explained) -> list[str]:
    """What it reads that it need not."""
    found = [
        f"reads all of {node['Relation Name']}"
        for node in each.nodes()
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
    ]
    found += [f"it, a trigger or a check reads all of {it}" for it in each.nested if it in LARGE]
    if each.blocks > _BLOCKS + _BLOCKS_A_ROW * each.wanted:
        found.append(f"looks at {each.blocks} blocks for {each.wanted} rows")
    if each.rows > _ROWS + _ROWS_A_ROW * each.wanted:
        found.append(f"looks at {each.rows:.0f} rows for {each.wanted}")
    if each.compared > _ROWS + _ROWS_A_ROW * each.wanted:
        found.append(f"compares {each.compared:.0f} rows in vain for {each.wanted}")
    return found


def test_the_pool_keeps_no_plans() -> None:
    pool = make_pool("postgresql://nobody@127.0.0.1/none", application="test")
    assert isinstance(pool.kwargs, dict)
    assert pool.kwargs["prepare_threshold"] is None


def test_the_list_of_statements_is_not_empty() -> None:
    names = statements()
    assert len(names) > 40
    assert {"registration._REGISTER", "runs._INSERT", "log_rows._PREFIX"} <= set(names)
