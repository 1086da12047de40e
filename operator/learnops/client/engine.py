"""All that runs in the background for one learner in one process."""

import time
from collections.abc import Callable

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`view` is the snapshot to start from, `clock` counts the dead-man switch in seconds."""
        # Here and not above: loading the HTTP library takes longer than all the rest of the SDK.
        from learnops.client.transport import Transport

        self.telemetry = Telemetry()
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
        self.reporter = Reporter(
            settings=settings, transport=self.transport, telemetry=self.telemetry
        )
        self.shadow_reporter = Reporter(
            settings=settings,
            transport=self.transport,
            telemetry=self.telemetry,
            path=SHADOWS_PATH,
            name="learnops-shadow-report",
        )
        self.signaler = Signaler(
            settings=settings, transport=self.transport, telemetry=self.telemetry
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
        """Begin to ask for snapshots; the other threads start when they are needed."""
        self.source.start()

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

    def close(self, timeout: float) -> int:
        """Drain for `timeout` seconds, then end every thread; how many bundles were left."""
        end = time.monotonic() + timeout
        self.source.stop()
        self.registrar.stop()
        left = self.reporter.outbox.close(timeout)
        self.signaler.close(max(end - time.monotonic(), 0.0))
        self.shadower.close(max(end - time.monotonic(), 0.0))
        outboxes = (self.voider.outbox, self.shadow_reporter.outbox)
        for outbox in outboxes:
            outbox.close(max(end - time.monotonic(), 0.0))
        self.transport.close()
        reports = (self.reporter.outbox, self.signaler.outbox)
        for part in (self.source, self.registrar, *reports, self.shadower, *outboxes):
            part.join(_JOIN_SECONDS)
        return left
