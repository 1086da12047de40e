"""`/health` takes the worst of what each part was last seen to be."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.ports.access import AccessUnavailableError, Caller, Need
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.batching import Batcher, BatchLimits, Queue
from learnops.server.health import Health, State, Watches
from learnops.server.heartbeat import Heartbeat
from learnops.server.outage import Outage
from learnops.server.reviews import NotedGatekeeper, Reviews
from learnops.server.services import assemble
from learnops.server.tracker import DatabaseGate
from tests.unit.app.fakes import FakeClock
from tests.unit.server.asgi import ask

LIMIT = 100


class Parts:
    """All parts of an api that is well, on a clock that the test moves."""

    def __init__(self, *, ttl_seconds: float | None = 300) -> None:
        self.clock = FakeClock()
        pool = make_pool("postgresql://", application="test")
        self.gate = DatabaseGate(pool=pool, outage=Outage(), clock=self.clock)
        self.heartbeat = Heartbeat(clock=self.clock, ttl_seconds=ttl_seconds)
        self.watches = Watches(synced={"doers": lambda: True}, silent={"doers": lambda: 1.5})
        self.reviews = Reviews(clock=self.clock)
        self.waiting = 0
        self.health = Health(
            clock=self.clock,
            started=self.clock.monotonic() - 60,
            version="1.2.3",
            gate=self.gate,
            heartbeat=self.heartbeat,
            watches=self.watches,
            reviews=self.reviews,
            queues={"runs": Queue(waiting=lambda: self.waiting, limit=LIMIT)},
        )
        self.well()

    def well(self) -> None:
        """As the loops leave it: everything was just seen."""
        self.gate.reason, self.gate.revision, self.gate.latency_seconds = None, "0008", 0.002
        self.gate._looked_at = self.clock.monotonic()
        renewed = datetime.fromtimestamp(self.clock.now().timestamp(), UTC).isoformat()
        self.heartbeat.put({"spec": {"holderIdentity": "o", "renewTime": renewed}})

    def part(self, name: str) -> Any:
        return self.health.report()[1]["components"][name]


def test_a_healthy_api_tells_of_each_component() -> None:
    parts = Parts()
    worst, body = parts.health.report()
    assert worst is State.OK
    assert json.loads(json.dumps(body)) == {
        "status": "ok",
        "version": "1.2.3",
        "uptimeSeconds": 60.0,
        "components": {
            "database": {
                "status": "ok",
                "reason": None,
                "schemaRevision": "0008",
                "latencyMilliseconds": 2.0,
                "ageSeconds": 0.0,
            },
            "operator": {"status": "ok", "heartbeatAgeSeconds": 0.0, "ttlSeconds": 300.0},
            "kubernetes": {"status": "ok", "listed": True, "snapshotAgeSeconds": 1.5},
            "access": {"status": "ok", "by": "development token", "lastReviewAgeSeconds": None},
            "queues": {"status": "ok", "runs": {"depth": 0, "limit": LIMIT}},
        },
    }


def _database_away(parts: Parts) -> None:
    parts.gate.reason = "the database does not answer"


def _probe_stuck(parts: Parts) -> None:
    parts.clock.advance(11)  # nothing was looked at since


def _never_listed(parts: Parts) -> None:
    parts.watches.synced = {"doers": lambda: True, "policies": lambda: False}


def _one_watch_silent(parts: Parts) -> None:
    parts.watches.silent = {"doers": lambda: 1.0, "policies": lambda: 91.0}


def _one_watch_unheard(parts: Parts) -> None:
    parts.watches.silent = {"doers": lambda: 1.0, "policies": lambda: None}


def _operator_away(parts: Parts) -> None:
    parts.clock.advance(31)
    parts.gate._looked_at = parts.clock.monotonic()


def _reviews_fail(parts: Parts) -> None:
    parts.reviews.note(failed=True)


def _busy(parts: Parts) -> None:
    parts.waiting = 80


def _full(parts: Parts) -> None:
    parts.waiting = LIMIT


@pytest.mark.parametrize(
    ("break_it", "component", "expected"),
    [
        (_database_away, "database", State.DOWN),
        (_probe_stuck, "database", State.DOWN),
        (_never_listed, "kubernetes", State.DOWN),
        (_one_watch_silent, "kubernetes", State.DEGRADED),
        (_one_watch_unheard, "kubernetes", State.DEGRADED),
        (_operator_away, "operator", State.DEGRADED),
        (_reviews_fail, "access", State.DEGRADED),
        (_busy, "queues", State.DEGRADED),
        (_full, "queues", State.DEGRADED),
    ],
)
def test_the_worst_part_counts(
    break_it: Callable[[Parts], None], component: str, expected: State
) -> None:
    parts = Parts()
    break_it(parts)
    worst, _body = parts.health.report()
    assert worst is expected
    assert parts.part(component)["status"] == expected


def test_an_operator_that_was_never_seen_is_late_and_one_that_nobody_watches_is_not() -> None:
    parts = Parts()
    parts.heartbeat.__init__(clock=parts.clock, ttl_seconds=300)  # type: ignore[misc]
    assert parts.part("operator") == {
        "status": State.DEGRADED,
        "heartbeatAgeSeconds": None,
        "ttlSeconds": 0.0,
    }
    assert Parts(ttl_seconds=None).part("operator")["status"] == State.OK


async def test_the_queue_of_a_batcher_is_what_it_holds() -> None:
    go = asyncio.Event()

    async def flush(items: Any) -> Any:
        await go.wait()
        return items

    batcher = Batcher[int, int](flush, limits=BatchLimits(batch=2, waiting=7))
    submitted = asyncio.create_task(batcher.submit([1, 2, 3]))
    await asyncio.sleep(0)
    assert (batcher.queue.waiting(), batcher.queue.limit) == (3, 7)
    go.set()
    assert await submitted == [1, 2, 3]
    assert batcher.queue.waiting() == 0


class Kubernetes:
    """A gatekeeper that is there or away."""

    away = False

    async def authenticate(self, token: str) -> Caller | None:
        if self.away:
            raise AccessUnavailableError("TokenReview")
        return None

    async def allows(self, caller: Caller, need: Need) -> bool:
        raise AccessUnavailableError("SubjectAccessReview")


async def test_reviews_are_noted_as_they_went() -> None:
    clock = FakeClock()
    reviews = Reviews(clock=clock)
    behind = Kubernetes()
    gate = NotedGatekeeper(behind, reviews=reviews)
    assert (reviews.by_kubernetes, reviews.failing, reviews.age_seconds()) == (True, False, None)
    behind.away = True
    with pytest.raises(AccessUnavailableError):
        await gate.authenticate("t")
    clock.advance(5)
    assert (reviews.failing, reviews.age_seconds()) == (True, 5.0)
    behind.away = False
    assert await gate.authenticate("t") is None  # a refusal is an answer
    assert (reviews.failing, reviews.age_seconds()) == (False, 0.0)


async def test_it_is_open_and_503_while_the_api_cannot_work() -> None:
    pool = make_pool("postgresql://", application="test")
    services = assemble(pool=pool, clock=FakeClock(), ttl_seconds=300)
    app = create_app(services=services, by=DevelopmentToken("t" * 16))
    told = await ask(app, "GET", "/health", token=None)
    assert told.status == 503
    assert told.body["status"] == "down"
    assert told.body["components"]["database"]["reason"] == "the database was not reached yet"
    assert told.body["components"]["queues"]["runs"] == {"depth": 0, "limit": 5000}
    assert told.body["components"]["queues"].keys() == {
        *("status", "runs", "bodyBytes", "otherBodyBytes", "assignments", "signals"),
    }
