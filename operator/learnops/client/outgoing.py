"""What this process owes the api: bundles of finished runs, and registrations to be voided."""

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from learnops.client.answer import Answer, TransportError
from learnops.client.bundle import reported
from learnops.client.frames import MAX_BODY_BYTES, Record
from learnops.client.outbox import (
    Broken,
    Delivered,
    Delivery,
    Failing,
    Limits,
    Outbox,
    Retry,
    Split,
)
from learnops.client.parcel import Parcel
from learnops.client.settings import Settings
from learnops.client.spool import Spool
from learnops.client.telemetry import Telemetry
from learnops.client.waiting import Steps, Wait

if TYPE_CHECKING:
    from learnops.client.transport import Transport

RUNS_PATH = "/v1/runs:batch"
SHADOWS_PATH = "/v1/shadows:report"
_VOID_PATH = "/v1/assignments:void"
_VOID_BATCH = 1000
_VOID_ITEMS = 50_000
_REFUSED = (400, 409, 413, 422)  # something in this request; anything else is worth another try
_FORBIDDEN = "forbidden"  # of one item
_FAILED = 500  # a bug of the api, maybe with one item; a proxy without an api says 502 to 504


class Reporter:
    """Delivers encoded bundles, from disk or from memory. One bad bundle never holds up its
    neighbours."""

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        telemetry: Telemetry,
        spool: Spool | None = None,
        path: str = RUNS_PATH,
        name: str = "learnops-report",
    ) -> None:
        """`spool` None: bundles wait in memory."""
        self._path = path
        self._settings = settings
        self._transport = transport
        self._telemetry = telemetry
        options = settings.options
        self.outbox: Outbox[Parcel] = Outbox(
            name=name,
            deliver=self._deliver,
            refused=self._refuse,
            failed=self._give_up,
            size=lambda parcel: len(parcel.body),
            telemetry=telemetry,
            settled=self._settle,
            upstream=self._upstream,
            limits=Limits(
                batch=options.batch_runs,
                linger_seconds=options.batch_seconds,
                items=options.buffer_runs,
                bytes=options.buffer_bytes,
            ),
        )
        self._spool = spool
        if spool is not None:
            spool.attach(path, self.outbox)

    def report(self, bundle: bytes) -> Steps[None]:
        """Keep one bundle on disk, else in memory; over the bounds it is dropped and counted.

        Waits for `Options.spool_seconds` at most, whatever the disk does.
        """
        if len(bundle) > MAX_BODY_BYTES:
            self._telemetry.count("bundles_dropped")
            self._telemetry.warn(
                "bundle-size", "a bundle of %d bytes is over the limit of 1 MiB", len(bundle)
            )
            self._bury(bundle, reason="over the limit of 1 MiB")
            return
        spool = self._spool
        ticket = None if spool is None else spool.offer(self._record(bundle))
        if spool is None or ticket is None:
            self._remember(bundle)
            return
        patient = False
        try:
            yield Wait(signal=ticket.done, seconds=spool.wait_seconds)
            patient = True
        finally:
            # Also where the agent's task was cancelled: what is not on disk by then is remembered,
            # and what is, the spool hands to the outbox.
            if not spool.collect(ticket, patient=patient):
                self._remember(bundle)

    def _remember(self, bundle: bytes) -> None:
        """Keep one bundle in memory."""
        if not self.outbox.put(Parcel(body=bundle)):
            self._telemetry.count("bundles_dropped")
            self._telemetry.warn("buffer", "the buffer is full or closed; bundles are dropped")
        elif self._spool is not None:
            self._telemetry.count("bundles_unspooled")

    def waiting(self) -> int:
        """Bundles that are not acknowledged yet; a file of an ended process counts as one until it
        is read."""
        return self.outbox.waiting() + self._upstream()

    def unsent(self, runs: Collection[str]) -> set[str]:
        """Those of the runs whose bundles still wait here, as far as they were read from disk."""
        return reported(runs, (parcel.body for parcel in self.outbox.items()))

    def unread(self) -> bool:
        """Whether bundles of whatever runs are on disk and still to be read."""
        return self._upstream() > 0

    def close(self, timeout: float) -> int:
        """Drain for `timeout` seconds; how many bundles were left that are not on disk."""
        return sum(parcel.segment is None for parcel in self.outbox.close(timeout))

    def _upstream(self) -> int:
        return 0 if self._spool is None else self._spool.waiting

    def _settle(self, parcels: Sequence[Parcel]) -> None:
        if self._spool is not None:
            self._spool.settle(parcels)

    def _bury(self, body: bytes, *, reason: str) -> None:
        if self._spool is not None:
            self._spool.bury(self._record(body), reason=reason)

    def _record(self, body: bytes) -> Record:
        return Record(path=self._path, body=body)

    def _refuse(self, parcel: Parcel, reason: str) -> None:
        self._telemetry.count("bundles_invalid")
        self._bury(parcel.body, reason=reason)

    def _give_up(self, parcel: Parcel, reason: str) -> None:
        self._telemetry.count("bundles_dropped")
        self._telemetry.warn(
            f"failed {reason}", "a bundle that failed each time is dropped: %s", reason
        )
        self._bury(parcel.body, reason=reason)

    def _deliver(self, parcels: Sequence[Parcel]) -> Delivery:
        answer = _post(
            self._transport,
            self._path,
            body=b'{"runs":[' + b",".join(parcel.body for parcel in parcels) + b"]}",
            settings=self._settings,
            telemetry=self._telemetry,
        )
        if not isinstance(answer, Answer):
            return answer
        results = answer.body.get("results") if isinstance(answer.body, dict) else None
        if not isinstance(results, list) or len(results) != len(parcels):
            self._telemetry.count("report_errors")
            self._telemetry.warn("report-shape", "the api answered a batch without its results")
            return Retry()
        told = [result if isinstance(result, dict) else {} for result in results]
        if any(result.get("status") == _FORBIDDEN for result in told):
            # As where all of them are, which is a 403: the right may be granted yet.
            self._telemetry.count("report_errors")
            self._telemetry.warn("forbidden", "the token lacks the right to report some bundles")
            return Retry()
        for parcel, result in zip(parcels, told, strict=True):
            self._conclude(parcel, result)
        return Delivered()

    def _conclude(self, parcel: Parcel, result: dict[str, Any]) -> None:
        status = str(result.get("status"))
        if status in ("accepted", "duplicate", "conflict"):
            self._telemetry.count(f"bundles_{status}")
        else:
            self._telemetry.count("bundles_invalid")
        if status not in ("accepted", "duplicate"):
            reason = _problem(result)
            self._telemetry.warn(f"refused {reason}", "the api refused a bundle: %s", reason)
            self._bury(parcel.body, reason=reason)


class Voider:
    """Tells the api which registrations came too late: their agents went on with control."""

    def __init__(self, *, settings: Settings, transport: "Transport", telemetry: Telemetry) -> None:
        self._settings = settings
        self._transport = transport
        self._telemetry = telemetry
        self.outbox: Outbox[str] = Outbox(
            name="learnops-void",
            deliver=self._deliver,
            refused=lambda *_: telemetry.count("voids_refused"),
            failed=lambda *_: telemetry.count("voids_dropped"),
            size=len,
            telemetry=telemetry,
            limits=Limits(batch=_VOID_BATCH, linger_seconds=0.02, items=_VOID_ITEMS, bytes=2**23),
        )

    def void(self, run_id: str) -> None:
        """Queue one registration to be voided."""
        if not self.outbox.put(run_id):
            self._telemetry.count("voids_dropped")

    def _deliver(self, run_ids: Sequence[str]) -> Delivery:
        body = {
            "namespace": self._settings.namespace,
            "doer": self._settings.doer,
            "runIds": list(run_ids),
        }
        answer = _post(
            self._transport,
            _VOID_PATH,
            body=json.dumps(body).encode(),
            settings=self._settings,
            telemetry=self._telemetry,
        )
        if not isinstance(answer, Answer):
            return answer
        self._telemetry.count("voids_acknowledged", len(run_ids))
        return Delivered()


def _post(
    transport: "Transport", path: str, *, body: bytes, settings: Settings, telemetry: Telemetry
) -> Answer | Delivery:
    """The api's answer if it did what it was asked, else what to do with the batch."""
    try:
        answer = transport.post(path, body=body, timeout=settings.options.request_seconds)
    except TransportError as error:
        telemetry.count("report_errors")
        telemetry.warn(path, "no answer at %s: %s; trying again", settings.api, error)
        return Broken(reason=str(error)) if error.sent else Retry()
    if 200 <= answer.status < 300:
        telemetry.forget(path)
        return answer
    telemetry.count("report_errors")
    telemetry.warn(path, "%s refused %s: %s", settings.api, path, answer.detail)
    if answer.status in _REFUSED:
        return Split(reason=answer.detail)
    if answer.status == _FAILED:
        return Failing(reason=answer.detail, after=answer.retry_after)
    return Retry(after=answer.retry_after)


def _problem(result: dict[str, Any]) -> str:
    """Why one bundle was refused, as one line: the status, the field and what is wrong with it."""
    problem = result.get("problem")
    told = problem if isinstance(problem, dict) else {"detail": problem}
    detail, field = told.get("detail") or told.get("title"), told.get("field")
    # What the api says of a field begins with it already.
    named = field and str(detail).startswith(f"{field}:")
    parts = [result.get("status"), None if named else field, detail]
    return ": ".join(f"{part!s:.200}" for part in parts if part)
