"""The candidate on the input that control was given: off the answer path, and marked as dry-run."""

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

from learnops.client.answer import TransportError
from learnops.client.assignment import Assignment
from learnops.client.backoff import Backoff
from learnops.client.policy import Policy
from learnops.client.run import Run
from learnops.client.running import Running
from learnops.client.settings import Settings
from learnops.client.snapshot import SnapshotHolder
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread, survived
from learnops.client.waiting import Steps

if TYPE_CHECKING:
    from learnops.client.prices import Prices
    from learnops.client.transport import Transport

_PATH = "/v1/shadows"
_NAME = "learnops-shadow"

Ready = Callable[[float], bool]
"""Whether a candidate can run now; asked in a thread, for so many seconds at most."""


def always(_seconds: float) -> bool:
    """A plain function can run whenever there is a thread."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A candidate that may run beside a run of control, and the rollout that asks for it."""

    rollout: str
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    rollout: str
    run: Running
    call: Callable[[Running], object]
    ready: Ready


class Shadower:
    """Runs candidates one after the other in a thread of its own.

    At most `options.shadow_waiting` wait; more are not taken. A pair is opened at the api before
    its candidate runs, so that one which takes its process down is seen; without the api's answer
    it does not run.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        transport: "Transport",
        holder: SnapshotHolder,
        report: Callable[[bytes], Steps[None]],
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._holder = holder
        self._report = report
        self._telemetry = telemetry
        self._clock = clock
        self._waiting: deque[_Task] = deque()
        self._running = False
        self._closing = False
        self._changed = Condition()
        self._thread: Thread | None = None

    def offer(self, assignment: Assignment) -> Offer | None:
        """The candidate for a run of control; None where nothing is in shadow, the operator was not
        heard of, or enough is waiting."""
        view = self._holder.view
        shadow = None if view is None else view.snapshot.shadow
        if view is None or shadow is None or not view.fresh(self._clock()):
            return None
        policy = view.snapshot.policies.get(shadow.policy)
        of_control = assignment.policy.name == view.snapshot.control
        if policy is None or not of_control:
            return None
        if self._is_full():
            self._telemetry.count("shadows_dropped")
            return None
        return Offer(rollout=shadow.rollout, policy=policy)

    def submit(
        self,
        offer: Offer,
        assignment: Assignment,
        call: Callable[[Running], object],
        *,
        prices: "Prices | None" = None,
        ready: Ready = always,
    ) -> None:
        """Run the candidate later, on this process's own time; one that is not `ready` then is
        left out, before its pair is opened. Never raises."""
        again = Assignment(
            policy=offer.policy,
            arm="candidate",
            propensity=0.0,
            revision=assignment.revision,
            rollout=offer.rollout,
            run_id=assignment.run_id,
        )
        run = Running(
            identity={"namespace": self._settings.namespace, "doer": self._settings.doer},
            assignment=again,
            tenant=None,
            report=self._report,
            telemetry=self._telemetry,
            prices=prices,
            dry_run=True,
        )
        task = _Task(rollout=offer.rollout, run=run, call=call, ready=ready)
        with self._changed:
            if self._closing or len(self._waiting) >= self._settings.options.shadow_waiting:
                self._telemetry.count("shadows_dropped")
                return
            self._waiting.append(task)
            if self._thread is None:
                self._thread = start_thread(self._loop, name=_NAME, telemetry=self._telemetry)
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Whether every candidate that waits has run within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout=max(timeout, 0.0))

    def close(self, timeout: float) -> None:
        """Take nothing more, forget what waits, and let the one that runs end."""
        with self._changed:
            self._closing = True
            self._telemetry.count("shadows_dropped", len(self._waiting))
            self._waiting.clear()
            self._changed.notify_all()
            self._changed.wait_for(self._is_idle, timeout=max(timeout, 0.0))

    def join(self, timeout: float) -> None:
        """Wait for the thread's end after `close`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._settings.options.shadow_waiting

    def _is_idle(self) -> bool:
        return not self._waiting and not self._running

    def _loop(self) -> None:
        backoff = Backoff()
        while (task := self._next()) is not None:
            try:
                if self._is_ready(task) and self._opened(task):
                    self._run(task)
            except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it runs no other
                survived(error, name=_NAME, telemetry=self._telemetry)
                self._rest(backoff.seconds())
            else:
                backoff.reset()
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _next(self) -> _Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            self._running = True
            return self._waiting.popleft()

    def _is_ready(self, task: _Task) -> bool:
        ready = task.ready(self._settings.options.request_seconds)
        if not ready:
            self._telemetry.count("shadows_dropped")
            self._telemetry.warn(
                "shadow loop", "a candidate was left out: the event loop of its agent has ended"
            )
        return ready

    def _opened(self, task: _Task) -> bool:
        body = {
            "namespace": self._settings.namespace,
            "doer": self._settings.doer,
            "rollout": task.rollout,
            "runIds": [task.run.assignment.run_id],
        }
        timeout = self._settings.options.request_seconds
        try:
            answer = self._transport.post(_PATH, body=json.dumps(body).encode(), timeout=timeout)
        except TransportError as error:
            self._telemetry.warn(_PATH, "no pair could be opened: %s", error)
            self._telemetry.count("shadows_unopened")
            return False
        opened = answer.body.get("opened") if isinstance(answer.body, dict) else None
        if isinstance(opened, list) and task.run.assignment.run_id in opened:
            return True
        self._telemetry.count("shadows_unopened")
        return False

    def _run(self, task: _Task) -> None:
        self._telemetry.count("shadows_run")
        task.run.begin(time.monotonic())
        try:
            with Run(task.run):
                task.call(task.run)
        except BaseException as error:  # noqa: BLE001 - a queue worker: reported as the candidate's
            # loss. Its sys.exit() too: here it would end nothing but this thread.
            self._telemetry.warn("shadow", "a candidate failed in shadow: %s", type(error).__name__)
