"""All that runs in the background for one learner in one process."""

import time
from collections.abc import Callable
from typing import Self

from learnops.client.content import Contents
from learnops.client.outgoing import SHADOWS_PATH, Reporter, Voider
from learnops.client.policy import Policy
from learnops.client.registrar import Registrar
from learnops.client.router import Router
from learnops.client.settings import Settings
from learnops.client.shadow import Shadower
from learnops.client.signals import Signaler
from learnops.client.snapshot import SnapshotHolder, View
from learnops.client.source import SnapshotSource
from learnops.client.spool import Spool
from learnops.client.spools import spool_of_bundles, spool_of_signals
from learnops.client.telemetry import Telemetry

_JOIN_SECONDS = 1.0


class Engine:
    """Threads, connections and buffers. A forked child gets a new one: threads and locks do not
    survive a fork, and what waits in the buffer is the parent's to send."""

    def __init__(
        self,
        *,
        settings: Settings,
        default_policy: Policy | None,
        view: View | None = None,
        telemetry: Telemetry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`view` is the snapshot to start from, `telemetry` what runs that have begun count in
        already; `clock` counts the dead-man switch in seconds."""
        # Here and not above: loading the HTTP library takes longer than all the rest of the SDK.
        from learnops.client.transport import Transport

        self._settings = settings
        self._default_policy = default_policy
        self.telemetry = telemetry or Telemetry()
        self.transport = Transport(
            api=settings.api, token=settings.token, token_file=settings.token_file
        )
        self.holder = SnapshotHolder(clock=clock, telemetry=self.telemetry, view=view)
        self.source = SnapshotSource(
            settings=settings,
            transport=self.transport,
            holder=self.holder,
            telemetry=self.telemetry,
        )
        self.voider = Voider(settings=settings, transport=self.transport, telemetry=self.telemetry)
        self.spool = spool_of_bundles(settings, telemetry=self.telemetry)
        self.reporter = Reporter(
            settings=settings,
            transport=self.transport,
            telemetry=self.telemetry,
            spool=self.spool,
        )
        self.shadow_reporter = Reporter(
            settings=settings,
            transport=self.transport,
            telemetry=self.telemetry,
            spool=self.spool,
            path=SHADOWS_PATH,
            name="learnops-shadow-report",
        )
        self.signal_spool = spool_of_signals(settings, telemetry=self.telemetry)
        self.signaler = Signaler(
            settings=settings,
            transport=self.transport,
            telemetry=self.telemetry,
            spool=self.signal_spool,
            bundles=self.reporter,
        )
        self.shadower = Shadower(
            settings=settings,
            transport=self.transport,
            holder=self.holder,
            report=self.shadow_reporter.report,
            telemetry=self.telemetry,
            clock=clock,
        )
        contents = Contents(
            settings=settings, holder=self.holder, source=self.source, telemetry=self.telemetry
        )
        self.registrar = Registrar(
            settings=settings,
            transport=self.transport,
            prepare=contents.prepare,
            void=self.voider.void,
            telemetry=self.telemetry,
        )
        self.router = Router(
            settings=settings,
            holder=self.holder,
            contents=contents,
            registrar=self.registrar,
            default_policy=default_policy,
            telemetry=self.telemetry,
            clock=clock,
        )

    def start(self) -> None:
        """Begin to ask for snapshots and to look for what ended processes owe; the other threads
        start when they are needed."""
        self.router.begin()
        self.source.start()
        for spool in self._spools():
            spool.start()

    def flush(self, timeout: float) -> bool:
        """Whether all reports, signals and voids were acknowledged within `timeout` seconds."""
        end = time.monotonic() + timeout
        done = [self.reporter.outbox.flush(timeout)]
        later = (
            self.signaler.outbox,
            self.voider.outbox,
            self.shadower,
            self.shadow_reporter.outbox,
        )
        done += [part.flush(max(end - time.monotonic(), 0.0)) for part in later]
        return all(done)

    def stats(self) -> dict[str, int | float | None]:
        """See `Learner.stats`."""
        view = self.holder.view
        return {
            **self.telemetry.counts(),
            "bundles_waiting": self.reporter.waiting(),
            "bundles_on_disk": self.on_disk(),
            "signals_waiting": self.signaler.waiting(),
            "signals_on_disk": self.signals_on_disk(),
            "voids_waiting": self.voider.outbox.waiting(),
            "revision": view.snapshot.revision if view else None,
            "snapshot_seconds_left": self.holder.seconds_left(),
        }

    def close(self, timeout: float) -> None:
        """Drain for `timeout` seconds, then end every thread, for which 2 s are waited at most.
        Bundles that are lost or wait on disk then are counted and logged."""
        end = time.monotonic() + timeout
        self.source.stop()
        self.registrar.stop()
        lost = self.reporter.close(timeout)
        self.signaler.close(max(end - time.monotonic(), 0.0))
        self.shadower.close(max(end - time.monotonic(), 0.0))
        self.voider.outbox.close(max(end - time.monotonic(), 0.0))
        lost += self.shadow_reporter.close(max(end - time.monotonic(), 0.0))
        self.transport.close()
        parts = (self.reporter, self.signaler, self.voider, self.shadow_reporter)
        outboxes = [part.outbox for part in parts]
        end = time.monotonic() + _JOIN_SECONDS
        for part in (self.source, self.registrar, self.shadower, *outboxes):
            part.join(max(end - time.monotonic(), 0.0))
        if lost:
            self.telemetry.count("bundles_dropped", lost)
            self.telemetry.warn(
                "close", "%d bundles were not acknowledged within %g s and are lost", lost, timeout
            )
        self._close_spools()
        self.signaler.count_lost()
        for noun, left in (("bundles", self.on_disk()), ("signals", self.signals_on_disk())):
            if left:
                self.telemetry.count(f"{noun}_left", left)
                folder = self._settings.spool
                message = "%d %s wait in %s for the next process"
                self.telemetry.warn(f"left {noun}", message, left, noun, folder)

    def on_disk(self) -> int:
        """Bundles on disk that are not settled: what the next process would deliver."""
        return 0 if self.spool is None else self.spool.on_disk

    def signals_on_disk(self) -> int:
        """Signals on disk that are not settled, likewise."""
        return 0 if self.signal_spool is None else self.signal_spool.on_disk

    def again(self) -> Self:
        """In a forked child: another engine for the same learner and for its runs that have begun.
        The parent's files and locks are let go of, which go on in the parent."""
        self.telemetry.begin()
        for spool in self._spools():
            spool.forget()
        return type(self)(
            settings=self._settings,
            default_policy=self._default_policy,
            view=self.holder.view,
            telemetry=self.telemetry,
        )

    def _spools(self) -> list[Spool]:
        return [spool for spool in (self.spool, self.signal_spool) if spool is not None]

    def _close_spools(self) -> None:
        end = time.monotonic() + _JOIN_SECONDS
        for spool in self._spools():
            spool.stop()  # after the outboxes: what they settled needs no second delivery
        for spool in self._spools():
            spool.join(max(end - time.monotonic(), 0.0))
