"""Agents that spool, and what is in their folder."""

from functools import partial
from pathlib import Path

from tests.agents import agent

RUNS = [f"r{number}" for number in range(20)]
# The api is away when these begin, so they say themselves which policy they run with.
serving = partial(agent, serving="planner-v1")


def segments(spool: Path) -> list[Path]:
    return sorted(spool.glob("*/*/*.seg"))
