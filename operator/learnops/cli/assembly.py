"""The application of the operator, put together on given ports."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from learnops.app.act import Actor
from learnops.app.cache import ObjectCache
from learnops.app.evidence.counters import CounterEvidence, CounterTick
from learnops.app.evidence.drift import DriftEvidence
from learnops.app.evidence.figures import CanaryFigures
from learnops.app.evidence.queries import GuardrailQueries, QueryTick
from learnops.app.evidence.reader import EvidenceReader
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.app.evidence.shadow import PairEvidence
from learnops.app.evidence.terms import TermsWatch
from learnops.app.intake import Intake
from learnops.app.metrics import OperatorMetrics
from learnops.app.observe import Observer
from learnops.app.queue import WorkQueue
from learnops.app.reconcile import Reconciler
from learnops.app.record import RecordLooks
from learnops.app.resync import Resync
from learnops.app.workers import Workers
from learnops.domain.observed import Key, Snapshot
from learnops.domain.plan import Plan
from learnops.ports.clock import Clock
from learnops.ports.figures import Figures
from learnops.ports.kube import Kube
from learnops.ports.metrics import Metrics
from learnops.ports.runlog import PairLog, RunLog
from learnops.ports.terms import TermLog
from learnops.ports.traffic import Route

_TERMS_TICKS = 6
# How often a doer at rest is held against its record.
_RECORD_TICKS = 24


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What the application needs from outside."""

    clock: Clock
    kube: Kube
    runlog: RunLog
    pairs: PairLog
    terms: TermLog
    figures: Figures
    prometheus: Metrics
    route: Route


@dataclass(frozen=True, kw_only=True)
class Application:
    """The parts that the process runs and that its probes look at."""

    cache: ObjectCache
    queue: WorkQueue[Key]
    workers: Workers[Key]
    resync: Resync
    terms: TermsWatch
    intake: Intake
    metrics: OperatorMetrics


def assemble(
    ports: Ports,
    *,
    decide: Callable[[Snapshot], Plan],
    metrics: OperatorMetrics,
    fence: Callable[[], int],
    may_act: Callable[[], bool],
    tick_seconds: float,
    concurrency: int,
    canaries_enabled: bool = True,
) -> Application:
    """Wire the application; nothing runs yet."""
    cache = ObjectCache()
    queue: WorkQueue[Key] = WorkQueue(monotonic=ports.clock.monotonic, chance=random.random)

    def add_after(key: Key, seconds: float) -> None:
        queue.add_after(key, seconds=seconds)

    terms = TermsWatch(
        log=ports.terms,
        cache=cache,
        add_after=add_after,
        chance=random.random,
        # A minute at the default tick; quicker where the operator is told to be.
        period_seconds=_TERMS_TICKS * tick_seconds,
    )
    reconciler = Reconciler(
        observer=_observer(
            ports,
            cache=cache,
            terms=terms,
            fence=fence,
            tick_seconds=tick_seconds,
            canaries_enabled=canaries_enabled,
        ),
        actor=_actor(ports, cache=cache, may_act=may_act),
        decide=decide,
        metrics=metrics,
        clock=ports.clock,
        tick_seconds=tick_seconds,
    )
    metrics.queue_depth.set_function(queue.depth)
    metrics.queue_oldest.set_function(queue.oldest_seconds)
    return Application(
        cache=cache,
        queue=queue,
        workers=Workers(
            queue=queue, work=reconciler.reconcile, concurrency=concurrency, on_bug=reconciler.bug
        ),
        resync=Resync(kube=ports.kube, cache=cache, add_after=add_after, chance=random.random),
        terms=terms,
        intake=Intake(cache=cache, queue=queue),
        metrics=metrics,
    )


def _actor(ports: Ports, *, cache: ObjectCache, may_act: Callable[[], bool]) -> Actor:
    return Actor(
        kube=ports.kube,
        runlog=ports.runlog,
        route=ports.route,
        cache=cache,
        clock=ports.clock,
        may_act=may_act,
    )


def _observer(
    ports: Ports,
    *,
    cache: ObjectCache,
    terms: TermsWatch,
    fence: Callable[[], int],
    tick_seconds: float,
    canaries_enabled: bool,
) -> Observer:
    # Nearly a whole tick: a look that a run's report woke takes what the last tick asked for.
    age = 0.9 * tick_seconds
    tick = CounterTick(metrics=ports.prometheus, clock=ports.clock, max_age_seconds=age)
    evidence = EvidenceReader(
        runlog=RunLogEvidence(runlog=ports.runlog),
        counters=CounterEvidence(tick=tick),
        pairs=PairEvidence(pairs=ports.pairs),
    )
    return Observer(
        cache=cache,
        clock=ports.clock,
        runlog=ports.runlog,
        route=ports.route,
        evidence=evidence,
        drift=DriftEvidence(runlog=ports.runlog),
        figures=CanaryFigures(source=ports.figures, clock=ports.clock, state_of=evidence.state_of),
        queries=GuardrailQueries(
            tick=QueryTick(metrics=ports.prometheus, clock=ports.clock, max_age_seconds=age)
        ),
        terms=terms.reading,
        # An answer is shared for as long, so that one question is never two breaches.
        query_spacing=timedelta(seconds=age),
        fence=fence,
        record=RecordLooks(
            runlog=ports.runlog, clock=ports.clock, every_seconds=_RECORD_TICKS * tick_seconds
        ),
        canaries_enabled=canaries_enabled,
    )
