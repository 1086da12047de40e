"""One query for all doers; a look at a doer only where its reading says something else."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from learnops.app.cache import ObjectCache
from learnops.app.evidence.terms import TermsWatch
from learnops.domain.observed import Key, TermsReading
from learnops.domain.unavailable import Unavailable
from learnops.ports.runlog import RunLogUnavailableError
from learnops.ports.terms import Reported, Watched

START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass
class Log:
    """The runs of each doer so far, and what was asked."""

    told: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    asked: list[list[Watched]] = field(default_factory=list)
    away: bool = False

    async def reported_terms(self, *, watched: Sequence[Watched], runs: int) -> Sequence[Reported]:
        self.asked.append(list(watched))
        if self.away:
            raise RunLogUnavailableError("gone")
        return [
            Reported(key=it.key, policy=it.policy, runs=min(seen, runs), reported=terms, until=at)
            for it in watched
            for seen, terms in [self.told.get(it.key.doer, (0, {}))]
            for at in [START + timedelta(seconds=seen)]
            if seen and (it.since is None or at > it.since)
        ]


class WatchedDoers:
    def __init__(self, *doers: str) -> None:
        self.log, self.cache, self.looks = Log(), ObjectCache(), list[tuple[str, float]]()
        self.version = 0
        for name in doers:
            self.activate(name, "v1")
        self.watch = TermsWatch(
            log=self.log,
            cache=self.cache,
            add_after=lambda key, seconds: self.looks.append((key.doer, seconds)),
            chance=lambda: 0.5,
        )

    def activate(self, doer: str, policy: str | None) -> None:
        self.version += 1
        metadata = {
            "name": doer,
            "namespace": "agents",
            "uid": doer,
            "resourceVersion": str(self.version),
        }
        status = {} if policy is None else {"activePolicy": policy}
        self.cache.put({"kind": "Doer", "metadata": metadata, "spec": {}, "status": status})

    def once(self) -> list[tuple[str, float]]:
        asyncio.run(self.watch.once())
        found, self.looks[:] = list(self.looks), []
        return found

    def reading(self, doer: str) -> TermsReading | Unavailable | None:
        return self.watch.reading(Key(namespace="agents", doer=doer))


def test_all_doers_are_read_by_one_query_and_only_news_is_looked_at() -> None:
    doers = WatchedDoers("a", "b", "idle")
    doers.activate("new", None)
    doers.log.told = {"a": (50, {"grounding": 50}), "b": (12, {})}
    assert doers.reading("idle") is None
    assert doers.once() == [("a", 0.0), ("b", 0.0), ("idle", 0.0)]
    assert [len(it) for it in doers.log.asked] == [3]
    assert doers.once() == []  # no run since
    doers.log.told["a"] = (60, {"grounding": 59})
    doers.log.told["b"] = (13, {})
    assert doers.once() == [("b", 0.0)]  # for a no rule could decide otherwise
    assert doers.reading("a") == TermsReading(policy="v1", runs=60, reported={"grounding": 59})
    assert doers.reading("idle") == TermsReading(policy="v1", runs=0, reported={})


def test_another_active_policy_is_read_from_its_own_runs() -> None:
    doers = WatchedDoers("a")
    doers.log.told = {"a": (50, {"grounding": 50})}
    doers.once()
    doers.activate("a", "v2")
    assert doers.once() == [("a", 0.0)]
    told = doers.reading("a")
    assert isinstance(told, TermsReading)
    assert told.policy == "v2"


def test_a_run_log_that_is_away_for_long_is_told_once_and_spread() -> None:
    doers = WatchedDoers("a", "idle")
    doers.log.told = {"a": (50, {"grounding": 50})}
    doers.once()
    doers.log.away = True
    assert doers.once() == doers.once() == []
    assert isinstance(doers.reading("a"), TermsReading)
    assert doers.once() == [("a", 30.0), ("idle", 30.0)]
    told = doers.reading("a")
    assert isinstance(told, Unavailable)
    assert "gone" in told.message
    assert doers.once() == []
    doers.log.away = False
    assert doers.once() == [("a", 30.0), ("idle", 30.0)]
    assert isinstance(doers.reading("a"), TermsReading)


def test_a_run_log_that_was_never_there_is_told_of_too() -> None:
    doers = WatchedDoers("a")
    doers.log.away = True
    assert doers.once() == doers.once() == []
    assert doers.reading("a") is None
    assert doers.once() == [("a", 30.0)]
    assert isinstance(doers.reading("a"), Unavailable)
