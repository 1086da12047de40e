"""Signals that come after a run: queued, and sent in the background, a request per run."""

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from learnops.client.answer import Answer, TransportError
from learnops.client.outbox import Delivered, Failing, Limits, Outbox, Retry, Verdict
from learnops.client.settings import Settings
from learnops.client.telemetry import Telemetry

if TYPE_CHECKING:
    from learnops.client.transport import Transport

MAX_NOTE: Final = 2000
_MAX_SOURCE: Final = 128
_IN_BUNDLE: Final = 32  # with a run; the api refuses a bundle with more
MAX_SIGNALS: Final = 100  # of one run; also the most in one request
_ITEMS: Final = 20_000
_BYTES: Final = 16 * 2**20
_REFUSED: Final = (400, 409, 413, 422)
NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,31}")
_NOT_YET: Final = Retry()  # the api answers, but does not know this run yet


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """One signal of a run as JSON; `unknown_since`: the api did not know the run yet then."""

    run_id: str
    body: bytes
    unknown_since: float | None = None
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What goes with a signal's name and value; see `Learner.signal`."""

    source: str = ""
    note: str = ""
    key: str | None = None
    observed_at: datetime | None = None


class Signaler:
    """Delivers signals, those of one run in the order in which they were given.

    A run that the api does not know may be one whose bundle is still on its way: its signals are
    tried again for `Options.signal_seconds`, and those behind them wait.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._telemetry = telemetry
        self._clock = clock
        self._wall = wall
        self.outbox: Outbox[Outgoing] = Outbox(
            name="learnops-signal",
            deliver=self._deliver,
            refused=lambda *_: None,  # said here, signal by signal
            failed=lambda signal, reason: self._drop([signal], reason),
            size=lambda signal: len(signal.body),
            telemetry=telemetry,
            limits=Limits(batch=MAX_SIGNALS, linger_seconds=0.05, items=_ITEMS, bytes=_BYTES),
        )

    def signal(self, run_id: str, name: str, value: object, remark: Remark) -> None:
        """Queue one signal; what can be no signal is counted and logged once. Never raises."""
        try:
            body = self._encoded(name, value, remark)
        except Exception as error:  # noqa: BLE001 - whatever the agent gave, it must go on
            self._telemetry.count("signals_invalid")
            self._telemetry.warn(
                f"signal {type(error).__name__}",
                "a signal was left out (%s): name must be a str, key a str, observed_at a datetime",
                type(error).__name__,
            )
            return
        if body is not None and not self.outbox.put(Outgoing(run_id=run_id, body=body)):
            self._telemetry.count("signals_dropped")
            self._telemetry.warn("signals", "the buffer of signals is full or closed; one is lost")

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

    def close(self, timeout: float) -> None:
        """Drain for `timeout` seconds; what is left is counted as dropped."""
        left = self.outbox.close(timeout)
        if left:
            self._telemetry.count("signals_dropped", len(left))

    def _deliver(self, batch: Sequence[Outgoing]) -> Verdict:
        by_run: dict[str, list[Outgoing]] = {}
        for signal in batch:
            if not signal.done:
                by_run.setdefault(signal.run_id, []).append(signal)
        verdict: Verdict = Delivered()
        for run_id, signals in by_run.items():
            found = self._run(run_id, signals)
            if found is _NOT_YET:
                verdict = found  # and on with the other runs
            elif not isinstance(found, Delivered):
                return found
        return verdict

    def _run(self, run_id: str, signals: Sequence[Outgoing]) -> Verdict:
        answer = self._post(run_id, signals)
        if not isinstance(answer, Answer):
            return answer
        if 200 <= answer.status < 300:
            self._telemetry.count("signals_accepted", len(signals))
        elif answer.status == 404:
            return self._unknown(signals, answer)
        elif len(signals) > 1:
            # One of them is refused, and stored are all or none: one by one, in their order.
            return self._one_by_one(run_id, signals)
        else:
            self._telemetry.count("signals_refused")
            reason = answer.detail
            self._telemetry.warn(f"signal {reason}", "the api refused a signal: %s", reason)
        _settle(signals)
        return Delivered()

    def _one_by_one(self, run_id: str, signals: Sequence[Outgoing]) -> Verdict:
        for signal in signals:
            verdict = self._run(run_id, [signal])
            if not isinstance(verdict, Delivered):
                return verdict
        return Delivered()

    def _unknown(self, signals: Sequence[Outgoing], answer: Answer) -> Verdict:
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
            _settle(signals)

    def _post(self, run_id: str, signals: Sequence[Outgoing]) -> Answer | Verdict:
        """The api's answer, if it says anything of these signals."""
        head = json.dumps({"namespace": self._settings.namespace, "doer": self._settings.doer})
        body = head[:-1].encode() + b', "signals": [' + b",".join(it.body for it in signals) + b"]}"
        path = path_of(run_id)
        try:
            timeout = self._settings.options.request_seconds
            answer = self._transport.post(path, body=body, timeout=timeout)
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


def path_of(run_id: str) -> str:
    """Where a run's signals are posted. Dots as well: a path of dots alone means another one."""
    return f"/v1/runs/{quote(run_id, safe='').replace('.', '%2E')}/signals"


def usable(signals: Mapping[str, object], *, telemetry: Telemetry) -> dict[str, float | bool]:
    """Those of the signals that the api would take; the others are counted and logged once."""
    good: dict[str, float | bool] = {}
    for name, value in signals.items():
        quality = _quality(value) if len(good) < _IN_BUNDLE else None
        if quality is None or not isinstance(name, str) or not NAME.fullmatch(name):
            telemetry.count("signals_invalid")
            telemetry.warn(
                f"signal {name!r:.40}",
                "signal %.40r of %.40r was left out: a name must be a camelCase word, a value a "
                "number from 0 to 1, True or False, and of one finish %d count",
                name,
                value,
                _IN_BUNDLE,
            )
        else:
            good[name] = quality
    return good


def _quality(value: Any) -> float | bool | None:
    if isinstance(value, bool):
        return value
    try:
        number = float(value)  # numbers of array libraries as well
    except Exception:  # noqa: BLE001 - theirs may raise anything, RuntimeError say
        return None
    return number if not isinstance(value, str) and 0 <= number <= 1 else None


def _settle(signals: Sequence[Outgoing]) -> None:
    for signal in signals:
        signal.done = True
