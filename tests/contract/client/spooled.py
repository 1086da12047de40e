"""Agents that spool, and what is in their folder."""

import threading
from functools import partial
from pathlib import Path

import pytest

from learnops.client.segment import Segment
from tests.agents import agent

RUNS = [f"r{number}" for number in range(20)]
# The api is away when these begin, so they say themselves which policy they run with.
serving = partial(agent, serving="planner-v1")


def segments(spool: Path) -> list[Path]:
    return sorted(spool.glob("*/*/*.seg"))


def hanging(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk answers nobody before this is set."""
    answers = threading.Event()
    append = Segment.append

    def hang(segment: Segment, records: object) -> None:
        answers.wait(60)
        append(segment, records)  # type: ignore[arg-type]

    monkeypatch.setattr(Segment, "append", hang)
    return answers
