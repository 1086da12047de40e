"""Counters: about once a tick the operator asks Prometheus for all canaries, as that counts it."""

import time
from dataclasses import dataclass

import urllib3

from testbed.exposition import total
from testbed.stack import Stack
from tests.product import TICK_SECONDS, Installation

DOERS = ("coder", "critic", "planner", "writer")
TICKS = 8
ROLLOUT = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {
        "source": "Prometheus",
        "maturationSeconds": 3,
        "minCandidateRuns": 100_000,
        "maxRuns": 1_000_000,
    },
}


@dataclass(frozen=True)
class Count:
    """What had happened until some moment from `began` to `ended`."""

    began: float
    ended: float
    queries: float
    passes: float


def test_one_query_a_tick_for_all_canaries(installed: Installation, stack: Stack) -> None:
    truth = installed.truth(**{f"{doer}_v{version}": 0.4 for doer in DOERS for version in (1, 2)})
    for doer in DOERS:
        installed.doer(doer, rollout=ROLLOUT)
        installed.roll_out(doer)
        installed.wait_share(doer, 50)
        installed.product.start_agents(doer, truth=truth, count=1, rate=10)
    for doer in DOERS:
        installed.wait(lambda doer=doer: runs(installed, doer) > 0, f"evidence of {doer}")
    before = count(installed, stack)
    installed.wait(
        lambda: count(installed, stack).passes >= before.passes + TICKS * len(DOERS), "some ticks"
    )
    after = count(installed, stack)
    seconds = after.ended - before.began
    asked = after.queries - before.queries
    # A pass of its own for each canary, and for all of them one question, whose answer is shared
    # for nine tenths of a tick; one may be under way in the beginning, and one be due at once.
    assert 1 <= asked <= seconds / (0.9 * TICK_SECONDS) + 2
    assert asked * 2 <= after.passes - before.passes


def runs(installed: Installation, doer: str) -> int:
    status = (installed.canary(doer) or {}).get("status", {})
    return sum(one.get("runs", 0) for one in status.get("candidates", []))


def count(installed: Installation, stack: Stack) -> Count:
    began = time.monotonic()
    own = urllib3.request("GET", f"{stack.prometheus.url}/metrics", timeout=30).data.decode()
    ended = time.monotonic()
    queries = total(own, "prometheus_http_requests_total", handler="/api/v1/query")
    return Count(began=began, ended=ended, queries=queries, passes=installed.passes())
