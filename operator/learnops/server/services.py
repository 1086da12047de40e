"""The parts of the api that its routes use, put together once per process."""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from learnops.adapters.postgres.connection import Pool
from learnops.ports.clock import Clock
from learnops.server.admission import Admission
from learnops.server.announcing import Announcer
from learnops.server.assigning import Assigner
from learnops.server.batching import Queue
from learnops.server.beside import Beside
from learnops.server.health import Health, Watches
from learnops.server.heartbeat import Heartbeat
from learnops.server.ingest import Ingest
from learnops.server.loops import Loops
from learnops.server.metrics import Metrics
from learnops.server.outage import Outage
from learnops.server.pairing import Pairing
from learnops.server.problems import unavailable
from learnops.server.reviews import Reviews
from learnops.server.signals import Signals
from learnops.server.snapshot import Snapshots
from learnops.server.state import State
from learnops.server.tracker import (
    KEEP_SERIES_SECONDS,
    DatabaseGate,
    Mirror,
    PrefixTracker,
    SeriesKeeper,
)
from learnops.server.upkeep import Upkeep
from learnops.server.vitals import Vitals
from learnops.server.wake import Wake
from learnops.server.wakeups import Wakeups

_GATE_PERIOD_SECONDS = 1.0


@dataclass
class Services:
    """Everything a request may need."""

    pool: Pool
    state: State
    heartbeat: Heartbeat
    metrics: Metrics
    outage: Outage
    gate: DatabaseGate
    assigner: Assigner
    ingest: Ingest
    admission: Admission
    beside: Beside
    pairing: Pairing
    signals: Signals
    announcer: Announcer
    snapshots: Snapshots
    tracker: PrefixTracker
    mirror: Mirror
    keeper: SeriesKeeper
    upkeep: Upkeep
    watches: Watches  # filled by whoever runs them
    reviews: Reviews
    health: Health
    loops: Loops = field(default_factory=Loops)

    def require_database(self) -> None:
        """Raise Problem 503 while the database is away or has another schema."""
        if self.gate.reason is not None:
            raise unavailable(self.gate.reason)

    def require_state(self) -> None:
        """Raise Problem 503 until doers and policies have been listed once."""
        missing = sorted(kind for kind, synced in self.watches.synced.items() if not synced())
        if missing:
            raise unavailable(f"the API server was not seen yet ({', '.join(missing)})")

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """The loops of this process."""
        return [
            self.tracker.run(),
            self.mirror.run(),
            self.keeper.run(),
            self.upkeep.run(),
            self.announcer.run(),
            self._watch_database(),
        ]

    def close_polls(self) -> None:
        """Answer every long poll now: the process is about to end."""
        self.snapshots.closing = True
        self.state.wake_all()

    async def drain(self) -> None:
        """Wait until everything taken is written."""
        await self.assigner.drain()
        await self.ingest.drain()
        await self.signals.drain()
        await self.announcer.step()
        self.beside.close()

    async def _watch_database(self) -> None:
        while True:
            await self.gate.check()
            await asyncio.sleep(_GATE_PERIOD_SECONDS)


def assemble(
    *,
    pool: Pool,
    clock: Clock,
    ttl_seconds: float | None,
    keep_days: Mapping[str, int] = MappingProxyType({}),
    keep_series_seconds: float = KEEP_SERIES_SECONDS,
) -> Services:
    """All services on one pool; nothing runs yet. `keep_days`: what expires, by table."""
    state = State(clock=clock)
    metrics = Metrics(process=secrets.token_hex(8))
    wake = Wake()
    outage = Outage()
    announcer = Announcer(pool=pool, metrics=metrics)
    wakeups = Wakeups(pool=pool, metrics=metrics)
    heartbeat = Heartbeat(clock=clock, ttl_seconds=ttl_seconds)
    gate = DatabaseGate(pool=pool, outage=outage, clock=clock)
    assigner = Assigner(
        pool=pool, gate=gate, state=state, metrics=metrics, voided=wake, clock=clock
    )
    beside = Beside()
    ingest = Ingest(
        pool=pool,
        state=state,
        metrics=metrics,
        resolved=wake,
        announcer=announcer,
        clock=clock,
        beside=beside,
    )
    signals = Signals(pool=pool, state=state, metrics=metrics, beside=beside)
    tracker = PrefixTracker(
        pool=pool,
        metrics=metrics,
        wake=wake,
        wakeups=wakeups,
        clock=clock,
        outage=outage,
        keep_seconds=keep_series_seconds,
    )
    admission = Admission()
    queues = {**admission.queues, "assignments": assigner.queue, "signals": signals.queue}
    health = _health(clock=clock, gate=gate, heartbeat=heartbeat, queues=queues)
    Vitals(health=health, registry=metrics.registry)
    return Services(
        pool=pool,
        state=state,
        heartbeat=heartbeat,
        metrics=metrics,
        outage=outage,
        gate=gate,
        assigner=assigner,
        ingest=ingest,
        admission=admission,
        beside=beside,
        announcer=announcer,
        watches=health.watches,
        reviews=health.reviews,
        health=health,
        pairing=Pairing(pool=pool, state=state, wakeups=wakeups, beside=beside),
        signals=signals,
        snapshots=Snapshots(state=state, heartbeat=heartbeat),
        tracker=tracker,
        mirror=Mirror(pool=pool, state=state, outage=outage),
        upkeep=Upkeep(pool=pool, keep_days=keep_days, outage=outage),
        keeper=SeriesKeeper(
            state=state, metrics=metrics, clock=clock, keep_seconds=keep_series_seconds
        ),
    )


def _health(
    *, clock: Clock, gate: DatabaseGate, heartbeat: Heartbeat, queues: Mapping[str, Queue]
) -> Health:
    """From now on; the watches and the reviews are filled in by whoever runs them."""
    return Health(
        clock=clock,
        started=clock.monotonic(),
        version=version("learnops"),
        gate=gate,
        heartbeat=heartbeat,
        watches=Watches(),
        reviews=Reviews(clock=clock),
        queues=queues,
    )
