"""What one large request means for others."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from tests.integration.server.conftest import Answer, Api

MOST_WAITED = 0.4  # two thirds and more where the loop stands still


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a request came to.

    `waited`: the share of its time that another waited at most. A share, since both are slower on a
    slow machine: the loop that stands still until it is through makes the other wait for most of
    it. `grown`: the memory it took.
    """

    answer: Answer
    waited: float
    grown: int


def meanwhile(api: Api, send: Callable[[], Answer]) -> Seen:
    """Send it, and ask for something small all the time."""
    process = psutil.Process(api.process.pid)
    before = peak = process.memory_info().rss
    longest, begun = 0.0, time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(send)
        while not answering.done():
            asked = time.perf_counter()
            assert api.get("/livez", token=None).status == 200
            longest = max(longest, time.perf_counter() - asked)
            peak = max(peak, process.memory_info().rss)
    waited = longest / (time.perf_counter() - begun)
    return Seen(answer=answering.result(), waited=waited, grown=peak - before)
