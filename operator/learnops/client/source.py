"""Where snapshots come from: one long poll after another, in the background."""

import time
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING

from learnops.client.answer import Answer, TransportError
from learnops.client.backoff import Backoff
from learnops.client.settings import Settings
from learnops.client.snapshot import (
    MalformedSnapshotError,
    SnapshotHolder,
    parse_snapshot,
    parse_ttl,
)
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread, survived

if TYPE_CHECKING:
    from learnops.client.transport import Transport

_PATH = "/v1/snapshot"
_TTL_HEADER = "X-Learnops-TTL-Seconds"
_SLACK_SECONDS = 10.0  # beyond the long poll's own time, for an api under load
_HASTY_SECONDS = 1.0  # nothing new sooner than this: the server does not really hold the question
_WARNING = "snapshot"
_NAME = "learnops-snapshot"


class SnapshotSource:
    """Keeps a SnapshotHolder current. `poll` runs in its own thread; `refresh` may run in any."""

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        holder: SnapshotHolder,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._holder = holder
        self._telemetry = telemetry
        self._backoff = Backoff(most_seconds=5.0)
        self._stop = Event()
        self._starting = RLock()  # as for telemetry
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to poll, if not begun yet; where no thread can start, the next call tries."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = start_thread(self._loop, name=_NAME, telemetry=self._telemetry)

    def stop(self) -> None:
        """Ask the thread to end; the transport's close breaks off a poll that is under way."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def refresh(self, *, timeout: float) -> bool:
        """Ask for the snapshot as it is now; True if there is a newer one. Never raises."""
        try:
            answer = self._transport.get(_PATH, query=self._query(), timeout=timeout)
            return answer.status == 200 and self._offer(answer)
        except (TransportError, MalformedSnapshotError):
            return False

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self._poll())

    def _poll(self) -> float:
        """One question; the seconds to wait before the next."""
        began = time.monotonic()
        try:
            news, retry_after = self._ask()
        except (TransportError, MalformedSnapshotError) as error:
            return self._failed(str(error))
        except BaseException as error:  # noqa: BLE001 - a probe: dead, it would see no rollback
            survived(error, name=_NAME, telemetry=self._telemetry)
            return self._backoff.seconds()
        if retry_after is not None:
            return retry_after
        self._telemetry.forget(_WARNING)
        if not news and time.monotonic() - began < _HASTY_SECONDS:
            return self._backoff.seconds()
        self._backoff.reset()
        return 0.0

    def _ask(self) -> tuple[bool, float | None]:
        """Whether there was news, and the seconds to wait after an answer that is no snapshot."""
        view = self._holder.view
        etag = view.snapshot.etag if view else None
        wait = self._patience() if etag else 0
        headers = {"If-None-Match": f'"{etag}"'} if etag else {}
        answer = self._transport.get(
            _PATH,
            query={**self._query(), "waitSeconds": str(wait)},
            headers=headers,
            timeout=wait + _SLACK_SECONDS,
        )
        if answer.status == 200:
            return self._offer(answer), None
        if answer.status == 304 and etag:
            self._extend(etag, answer)
            return False, None
        return False, self._failed(answer.detail, retry_after=answer.retry_after)

    def _patience(self) -> int:
        """How long to let the api hold a question, in seconds. The time to live comes with its
        answer, so it must be there well before the last one ends, and soon after it has ended."""
        longest = self._settings.options.long_poll_seconds
        left = self._holder.seconds_left()
        return longest if left is None else max(1, min(longest, int(left / 3)))

    def _offer(self, answer: Answer) -> bool:
        before = self._holder.view
        snapshot, ttl_seconds = parse_snapshot(answer.body)
        taken = self._holder.offer(snapshot, ttl_seconds=ttl_seconds)
        return taken and (before is None or before.snapshot.etag != snapshot.etag)

    def _extend(self, etag: str, answer: Answer) -> None:
        text = answer.headers.get(_TTL_HEADER)
        if text is None:
            # The switch may be turned off, or a proxy may have cut the header: keep counting.
            return
        try:
            ttl_seconds = None if text == "null" else parse_ttl(float(text))
        except ValueError as error:
            raise MalformedSnapshotError(f"{_TTL_HEADER} is {text!r:.40}") from error
        self._holder.extend(etag=etag, ttl_seconds=ttl_seconds)

    def _failed(self, what: str, *, retry_after: float | None = None) -> float:
        if self._stop.is_set():
            return 0.0  # broken off by `close`, which is no news
        self._telemetry.count("snapshot_errors")
        self._telemetry.warn(_WARNING, "no snapshot from %s: %s", self._settings.api, what)
        return self._backoff.seconds(retry_after=retry_after)

    def _query(self) -> dict[str, str]:
        return {"namespace": self._settings.namespace, "doer": self._settings.doer}
