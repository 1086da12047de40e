"""Signals that come after a run: queued, on disk too, and sent in the background by run."""

import json
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from learnops.client.answer import Answer, TransportError
from learnops.client.calls import bounded
from learnops.client.frames import Record
from learnops.client.later import (
    SIGNALS_PATH,
    Outgoing,
    from_disk,
    letter_of,
    path_of,
    record_of,
    request_body,
)
from learnops.client.outbox import Delivered, Delivery, Failing, Limits, Outbox, Retry
from learnops.client.parcel import Parcel
from learnops.client.quality import usable
from learnops.client.settings import Settings
from learnops.client.spool import Spool
from learnops.client.telemetry import Telemetry

if TYPE_CHECKING:
    from learnops.client.transport import Transport

MAX_NOTE: Final = 2000
_MAX_SOURCE: Final = 128
MAX_SIGNALS: Final = 100  # of one run; also the most in one request
_ITEMS: Final = 20_000
_BYTES: Final = 16 * 2**20
_REFUSED: Final = (400, 409, 413, 422)
_NOT_YET: Final = Retry()  # the api answers, but does not know this run yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What goes with a signal's name and value; see `Learner.signal`."""

    source: str = ""
    note: str = ""
    key: str | None = None
    observed_at: datetime | None = None


class Bundles(Protocol):
    """What this process still has to report."""

    def unsent(self, runs: Collection[str]) -> Collection[str]:
        """Those of the runs whose bundles wait."""

    def unread(self) -> bool:
        """Whether others are on disk, of which nobody knows the runs yet."""


class Signaler:
    """Delivers signals, those of one run in the order in which they were given, behind the run's
    bundle where that waits here too.

    They wait in memory, and are written to disk meanwhile, for which nobody waits. A run that the
    api does not know may be one whose bundle another process has: its signals are tried again for
    `Options.signal_seconds`, and those behind them wait.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        telemetry: Telemetry,
        bundles: Bundles,
        spool: Spool | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`spool` None: signals wait in memory alone."""
        self._settings = settings
        self._transport = transport
        self._telemetry = telemetry
        self._spool = spool
        self._bundles = bundles
        self._clock = clock
        self._wall = wall
        self._left: list[Outgoing] = []
        self.outbox: Outbox[Outgoing] = Outbox(
            name="learnops-signal",
            deliver=self._deliver,
            refused=lambda *_: None,  # said here, signal by signal
            failed=lambda signal, reason: self._drop([signal], reason),
            size=lambda signal: len(signal.parcel.body),
            settled=self._settle,
            upstream=self._upstream,
            telemetry=telemetry,
            limits=Limits(batch=MAX_SIGNALS, linger_seconds=0.05, items=_ITEMS, bytes=_BYTES),
        )
        if spool is not None:
            spool.attach(SIGNALS_PATH, self)

    def signal(self, run_id: str, name: str, value: object, remark: Remark) -> None:
        """Queue one signal; what can be no signal is counted and logged once. Never raises."""
        try:
            run = bounded("run_id", run_id, self._telemetry)
            body = self._encoded(name, value, remark)
        except Exception as error:  # noqa: BLE001 - whatever the agent gave, it must go on
            self._telemetry.count("signals_invalid")
            self._telemetry.warn(
                f"signal {type(error).__name__}",
                "a signal was left out (%s): name must be a str, key a str, observed_at a datetime",
                type(error).__name__,
            )
            return
        if body is not None:
            self._remember(Outgoing(run_id=run, parcel=Parcel(body=body)))

    def _remember(self, signal: Outgoing) -> None:
        if not self.outbox.put(signal):
            self._telemetry.count("signals_dropped")
            self._telemetry.warn("signals", "the buffer of signals is full or closed; one is lost")
        elif self._spool is not None and not self._spool.keep(record_of(signal), signal.parcel):
            self._telemetry.count("signals_unspooled")

    def _encoded(self, name: str, value: object, remark: Remark) -> bytes | None:
        """None where it is left out, which is counted."""
        kept = usable({name: value}, telemetry=self._telemetry)
        if not kept:
            return None
        at = remark.observed_at
        if at is None:
            at = datetime.fromtimestamp(self._wall(), UTC)
        told = {
            "name": name,
            "value": kept[name],
            "key": str(remark.key) if remark.key else os.urandom(16).hex(),
            "source": str(remark.source)[:_MAX_SOURCE],
            "note": str(remark.note)[:MAX_NOTE],
            "observedAt": at.astimezone(UTC).isoformat(),
        }
        return json.dumps(told).encode()

    def waiting(self) -> int:
        """Signals that are not acknowledged yet; a file of an ended process counts as one until it
        is read."""
        # Some of a batch may be done while others of it wait.
        return sum(not signal.done for signal in self.outbox.items()) + self._upstream()

    def close(self, timeout: float) -> None:
        """Drain for `timeout` seconds; see `count_lost`."""
        self._left = self.outbox.close(timeout)

    def count_lost(self) -> None:
        """After the end of the spool: what was left and is not on disk counts as dropped."""
        lost = sum(not one.done and one.parcel.segment is None for one in self._left)
        if lost:
            self._telemetry.count("signals_dropped", lost)

    def put(self, item: Parcel, *, force: bool = False) -> bool:
        """Take one that the spool has read."""
        try:
            signal = from_disk(item)
        except ValueError as error:
            self._telemetry.count("signals_invalid")
            if self._spool is not None:
                self._spool.bury(Record(path=SIGNALS_PATH, body=item.body), reason=str(error))
                self._spool.settle([item])
            return False
        return self.outbox.put(signal, force=force)

    def room(self, items: int, size: int) -> bool:
        """As that of the outbox, for the spool."""
        return self.outbox.room(items, size)

    def hungry(self) -> bool:
        """Likewise."""
        return self.outbox.hungry()

    def poke(self) -> None:
        """Likewise."""
        self.outbox.poke()

    def _upstream(self) -> int:
        return 0 if self._spool is None else self._spool.waiting

    def _finish(self, signals: Sequence[Outgoing]) -> None:
        for signal in signals:
            signal.done = True
        self._settle(signals)  # not with the whole batch: one killed meanwhile would send them anew

    def _settle(self, signals: Sequence[Outgoing]) -> None:
        if self._spool is not None:
            self._spool.settle([signal.parcel for signal in signals])

    def _deliver(self, batch: Sequence[Outgoing]) -> Delivery:
        by_run: dict[str, list[Outgoing]] = {}
        for signal in batch:
            if not signal.done:
                by_run.setdefault(signal.run_id, []).append(signal)
        # Before the unsent: a bundle goes from disk to memory and then to the api.
        unread = self._bundles.unread()
        unsent = self._bundles.unsent(by_run.keys())
        delivery: Delivery = Delivered()
        for run_id, signals in by_run.items():
            found = _hold(signals) if run_id in unsent else self._run(run_id, signals, unread)
            if found is _NOT_YET:
                delivery = found  # and on with the other runs
            elif not isinstance(found, Delivered):
                return found
        return delivery

    def _run(self, run_id: str, signals: list[Outgoing], unread: bool) -> Delivery:
        answer = self._post(run_id, signals)
        if not isinstance(answer, Answer):
            return answer
        if 200 <= answer.status < 300:
            self._telemetry.count("signals_accepted", len(signals))
        elif answer.status == 404:
            return self._unknown(signals, answer, unread)
        elif len(signals) > 1:
            # One of them is refused, and stored are all or none: one by one, in their order.
            return self._one_by_one(run_id, signals, unread)
        else:
            self._telemetry.count("signals_refused")
            reason = answer.detail
            self._telemetry.warn(f"signal {reason}", "the api refused a signal: %s", reason)
            self._bury(signals, reason)
        self._finish(signals)
        return Delivered()

    def _one_by_one(self, run_id: str, signals: list[Outgoing], unread: bool) -> Delivery:
        for signal in signals:
            delivery = self._run(run_id, [signal], unread)
            if not isinstance(delivery, Delivered):
                return delivery
        return Delivered()

    def _unknown(self, signals: list[Outgoing], answer: Answer, unread: bool) -> Delivery:
        if unread or self._bundles.unread():  # its bundle may be, or have been, among them
            return _hold(signals)
        now = self._clock()
        waiting: list[Outgoing] = []
        for signal in signals:
            signal.unknown_since = now if signal.unknown_since is None else signal.unknown_since
            if now - signal.unknown_since < self._settings.options.signal_seconds:
                waiting.append(signal)
        self._drop([it for it in signals if it not in waiting], answer.detail)
        return _NOT_YET if waiting else Delivered()

    def _drop(self, signals: Sequence[Outgoing], reason: str) -> None:
        if signals:
            self._telemetry.count("signals_dropped", len(signals))
            self._telemetry.warn("signal given up", "signals were given up: %s", reason)
            self._bury(signals, reason)
            self._finish(signals)

    def _bury(self, signals: Sequence[Outgoing], reason: str) -> None:
        if self._spool is not None:
            settings = self._settings
            for signal in signals:
                letter = letter_of(signal, namespace=settings.namespace, doer=settings.doer)
                self._spool.bury(letter, reason=reason)

    def _post(self, run_id: str, signals: list[Outgoing]) -> Answer | Delivery:
        """The api's answer, if it says anything of these signals."""
        settings = self._settings
        body = request_body(signals, namespace=settings.namespace, doer=settings.doer)
        try:
            timeout = settings.options.request_seconds
            answer = self._transport.post(path_of(run_id), body=body, timeout=timeout)
        except TransportError as error:
            self._telemetry.count("signal_errors")
            self._telemetry.warn("signal", "no answer at %s: %s", self._settings.api, error)
            return Retry()
        if 200 <= answer.status < 300 or answer.status in (404, *_REFUSED):
            self._telemetry.forget("signal")
            return answer
        self._telemetry.count("signal_errors")
        self._telemetry.warn("signal", "%s refused signals: %s", self._settings.api, answer.detail)
        if answer.status == 500:
            return Failing(reason=answer.detail, after=answer.retry_after)
        return Retry(after=answer.retry_after)


def _hold(signals: Sequence[Outgoing]) -> Delivery:
    for signal in signals:
        signal.unknown_since = None
    return _NOT_YET
