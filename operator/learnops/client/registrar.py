"""Registration before the agent starts: concurrent starts share one round trip."""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from learnops.client.answer import Answer, TransportError
from learnops.client.assignment import Assignment, Drawn
from learnops.client.backoff import Backoff
from learnops.client.settings import Settings
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread, survived
from learnops.client.waiting import Signal, Steps, Wait

if TYPE_CHECKING:
    from learnops.client.transport import Transport

_PATH = "/v1/assignments"
_MAX_BATCH = 1000
# A request outlives the agents that wait for it: its late answer says that voiding may begin.
_LEAST_REQUEST_SECONDS = 2.0
_ARMS = ("control", "candidate")
_WARNING = "registration"
_NAME = "learnops-register"


class _State(Enum):
    WAITING = auto()  # in the queue
    SENT = auto()  # on its way to the api
    DONE = auto()  # answered or failed, in time
    ABANDONED = auto()  # the agent went on with control


class _Ticket:
    """One run that waits for its registration."""

    __slots__ = ("answer", "done", "request", "run_id", "state")

    def __init__(self, run_id: str, request: dict[str, str]) -> None:
        self.run_id = run_id
        self.request = request
        self.state = _State.WAITING
        self.answer: Assignment | None = None
        self.done = Signal()


class Registrar:
    """Registers runs in batches: while one request is under way, the next starts gather."""

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        prepare: Callable[[Drawn], Assignment | None],
        void: Callable[[str], object],
        telemetry: Telemetry,
    ) -> None:
        """`prepare` adds the policy's content, for which it may ask the api (None: the draw cannot
        be used); `void` takes the run ids whose registration must not count."""
        self._settings = settings
        self._transport = transport
        self._prepare = prepare
        self._void = void
        self._telemetry = telemetry
        self._queue: deque[_Ticket] = deque()
        self._changed = Condition()
        self._stopped = False
        self._held_until = 0.0  # monotonic seconds, as the api asked
        self._thread: Thread | None = None

    def register(
        self, *, run_id: str, unit_id: str | None, policy: str | None
    ) -> Steps[Assignment | None]:
        """The acknowledged draw, or None if there is none within the bound. `unit_id` is the
        session or tenant, None where the run is drawn for itself."""
        request = {"runId": run_id}
        if unit_id is not None:
            request["unitId"] = unit_id
        if policy is not None:
            request["policy"] = policy
        ticket = _Ticket(run_id, request)
        with self._changed:
            if self._stopped or self._is_held() or not self._ensure_thread():
                return None
            self._queue.append(ticket)
            self._changed.notify()
        try:
            yield Wait(signal=ticket.done, seconds=self._settings.options.registration_seconds)
        except GeneratorExit:
            self._abandon(ticket)
            raise
        return self._collect(ticket)

    def stop(self) -> None:
        """Answer nobody any more; the thread ends after the request that is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _is_held(self) -> bool:
        """An api that asked for time is not asked: the agent goes on with control at once."""
        if time.monotonic() >= self._held_until:
            return False
        self._telemetry.count("registrations_held")
        return True

    def _collect(self, ticket: _Ticket) -> Assignment | None:
        with self._changed:
            if ticket.state is _State.DONE:
                return ticket.answer
            ticket.state = _State.ABANDONED
        self._telemetry.count("registrations_late")
        return None

    def _abandon(self, ticket: _Ticket) -> None:
        """Whoever started the run was cancelled: also an answer in time is nobody's any more."""
        with self._changed:
            answered = ticket.answer if ticket.state is _State.DONE else None
            ticket.state = _State.ABANDONED
        if answered is not None and answered.rollout is not None:
            self._telemetry.count("registrations_voided")
            self._void(ticket.run_id)

    def _ensure_thread(self) -> bool:
        if self._thread is None:
            self._thread = start_thread(self._loop, name=_NAME, telemetry=self._telemetry)
        return self._thread is not None

    def _loop(self) -> None:
        backoff = Backoff()
        while tickets := self._take():
            try:
                self._serve(tickets)
            except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it serves no run
                survived(error, name=_NAME, telemetry=self._telemetry)
                self._let_go(tickets)
                self._held_until = time.monotonic() + backoff.seconds()
            else:
                backoff.reset()

    def _take(self) -> list[_Ticket]:
        """The next batch; empty once stopped. A run whose agent gave up is not sent at all."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._stopped)
                if self._stopped:
                    return []
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), _MAX_BATCH))]
                tickets = [ticket for ticket in taken if ticket.state is _State.WAITING]
                for ticket in tickets:
                    ticket.state = _State.SENT
                if tickets:
                    return tickets

    def _serve(self, tickets: Sequence[_Ticket]) -> None:
        answers, may_be_stored = self._send(tickets)
        for ticket in tickets:
            drawn = answers.get(ticket.run_id)
            accepted = self._finish(ticket, self._prepare(drawn) if drawn else None)
            stored = drawn.registered if drawn is not None else may_be_stored
            if stored and not accepted:
                self._telemetry.count("registrations_voided")
                self._void(ticket.run_id)

    def _let_go(self, tickets: Sequence[_Ticket]) -> None:
        """Runs without an answer go on with control; what the api stored of them is void."""
        for ticket in tickets:
            if ticket.state is not _State.DONE:
                self._finish(ticket, None)
                self._telemetry.count("registrations_voided")
                self._void(ticket.run_id)

    def _finish(self, ticket: _Ticket, answer: Assignment | None) -> bool:
        """Hand over the answer; False if nobody runs with it."""
        with self._changed:
            if ticket.state is _State.ABANDONED:
                return False
            ticket.state = _State.DONE
            ticket.answer = answer
        ticket.done.set()
        return answer is not None

    def _send(self, tickets: Sequence[_Ticket]) -> tuple[dict[str, Drawn], bool]:
        """The draws by run id, and whether runs without one may be registered all the same."""
        body = {
            "namespace": self._settings.namespace,
            "doer": self._settings.doer,
            "runs": [ticket.request for ticket in tickets],
        }
        patience = self._settings.options.registration_seconds
        began = time.monotonic()
        try:
            answer = self._transport.post(
                _PATH,
                body=json.dumps(body).encode(),
                timeout=max(_LEAST_REQUEST_SECONDS, patience),
            )
        except TransportError as error:
            self._failed(str(error))
            return {}, error.sent
        self._telemetry.count("registration_requests")
        self._telemetry.count("registration_milliseconds", round((time.monotonic() - began) * 1000))
        if answer.status != 200:
            self._hold(answer)
            self._failed(answer.detail)
            return {}, answer.status in (500, 502, 504)
        self._telemetry.forget(_WARNING)
        return self._parse(answer.body), True

    def _hold(self, answer: Answer) -> None:
        if answer.retry_after is not None:
            seconds = Backoff().seconds(retry_after=answer.retry_after)
            self._held_until = time.monotonic() + seconds

    def _parse(self, body: Any) -> dict[str, Drawn]:
        entries = body.get("assignments") if isinstance(body, dict) else None
        drawn: dict[str, Drawn] = {}
        for entry in entries if isinstance(entries, list) else []:
            try:
                one = parse_drawn(entry)
                drawn[one.run_id] = one
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self._failed(f"malformed answer: {error!r:.80}")
        return drawn

    def _failed(self, what: str) -> None:
        self._telemetry.count("registration_errors")
        self._telemetry.warn(_WARNING, "no registration at %s: %s", self._settings.api, what)


def parse_drawn(entry: Any) -> Drawn:
    """One entry of the answer; raises KeyError, TypeError, ValueError or OverflowError."""
    propensity = float(entry["propensity"])
    if entry["arm"] not in _ARMS or not 0.0 <= propensity <= 1.0:
        raise ValueError(f"arm {entry['arm']!r} with propensity {propensity}")
    if not isinstance(entry["policy"], str) or not isinstance(entry["registered"], bool):
        raise TypeError("policy is no string or registered no boolean")
    rollout = entry.get("rollout")
    if rollout is not None and not isinstance(rollout, str):
        raise TypeError("rollout is neither a string nor null")
    return Drawn(
        run_id=str(entry["runId"]),
        arm=entry["arm"],
        policy=entry["policy"],
        propensity=propensity,
        rollout=rollout,
        revision=int(entry["revision"]),
        registered=entry["registered"],
    )
