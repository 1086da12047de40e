"""One execution of a doer."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Any, Self

from learnops.client.assignment import Assignment
from learnops.client.policy import Policy
from learnops.client.signals import MAX_SIGNALS, Remark, usable
from learnops.client.telemetry import Telemetry

_FAILED_GATE = "completed"
_MAX_ERROR_LENGTH = 500


class Run:
    """What an agent got for one run, and where it reports how that went.

    As a context manager it reports an exception as a failed run and lets it pass.
    """

    def __init__(
        self,
        *,
        identity: Mapping[str, str],
        assignment: Assignment,
        tenant: str | None,
        report: Callable[[bytes], None],
        telemetry: Telemetry,
        shadow: Policy | None = None,
        dry_run: bool = False,
        signal: Callable[[str, str, object, Remark], None] | None = None,
    ) -> None:
        """`shadow`: see the property. `dry_run`: this is the candidate beside a run of control.
        `signal`: takes what is told of the run's work; None: nothing of it is kept."""
        self._identity = identity
        self._assignment = assignment
        self._tenant = tenant
        self._report = report
        self._telemetry = telemetry
        self._shadow = shadow
        self._dry_run = dry_run
        self._signal = signal
        self._began = time.monotonic()
        self._finished = False
        self._early: list[tuple[str, object, Remark]] = []
        self._lock = Lock()

    @property
    def id(self) -> str:
        """The run's id, under which signals can be added later."""
        return self._assignment.run_id

    @property
    def policy(self) -> Policy:
        """What to run with; empty where neither the api nor a default was there."""
        return self._assignment.policy

    @property
    def model(self) -> str | None:
        """The policy's model."""
        return self._assignment.policy.model

    @property
    def assignment(self) -> Assignment:
        """The draw, as it was answered."""
        return self._assignment

    @property
    def shadow(self) -> Policy | None:
        """The candidate that is to run on the same input, off the answer path; None: none is."""
        return self._shadow

    @property
    def dry_run(self) -> bool:
        """Whether nobody gets this answer: tools must then leave the world as it is."""
        return self._dry_run

    def begin(self, now: float) -> None:
        """Count the duration from `now` (monotonic seconds) on, where a run had to wait."""
        self._began = now

    @property
    def arm(self) -> str:
        """`control` or `candidate`."""
        return self._assignment.arm

    @property
    def propensity(self) -> float:
        """π: the probability of a candidate, of any of several, when this run was drawn."""
        return self._assignment.propensity

    def finish(
        self,
        *,
        metrics: Mapping[str, Any] | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        costs: Mapping[str, Any] | None = None,
        qav: Mapping[str, Any] | None = None,
        artifacts: Sequence[Mapping[str, Any]] | None = None,
        budget: Mapping[str, Any] | None = None,
        signals: Mapping[str, float | bool] | None = None,
        duration_milliseconds: float | None = None,
    ) -> None:
        """Report the run; returns at once and never raises. Only the first call counts.

        Args:
            metrics: terms of the CRL and whatever else was measured, by name.
            gates: checks of the result, each {"name": …, "passed": True or False}.
            costs: `costUSD`, and other costs by name.
            qav: answers of quality checks, as they are.
            artifacts: references to what the run made, each a mapping such as {"uri": …}.
            budget: `maxCostUSD` and `maxDurationMilliseconds`, where the run has its own.
            signals: what is known of the quality of its work by now, as in `signal`.
            duration_milliseconds: how long the run took; default: since `start`.
        """
        with self._lock:
            again, self._finished = self._finished, True
        if again:
            self._telemetry.count("finishes_ignored")
            self._telemetry.warn("finish", "a run was finished twice; only the first time counts")
            return
        elapsed = (time.monotonic() - self._began) * 1000
        sections = {
            "durationMilliseconds": elapsed
            if duration_milliseconds is None
            else duration_milliseconds,
            "metrics": metrics or {},
            "gates": gates or [],
            "costs": costs or {},
            "qav": qav or {},
            "artifacts": artifacts or [],
        }
        if budget:
            sections["budget"] = budget
        # A bad one is left out here: the api would refuse the run for it.
        kept = usable(signals, telemetry=self._telemetry) if signals else {}
        if kept:
            sections["signals"] = kept
        self._send(sections)
        for name, value, remark in self._early:
            if self._signal is not None:
                self._signal(self.id, name, value, remark)

    def signal(
        self,
        name: str,
        value: float | bool,
        *,
        source: str = "",
        note: str = "",
        key: str | None = None,
        observed_at: datetime | None = None,
    ) -> None:
        """Tell what was found out about the run's work; see `Learner.signal`.

        Before `finish` it is kept until then: the api knows of no run before its bundle. Of a dry
        run nothing is kept, as nobody got its answer.
        """
        if self._signal is None:
            self._telemetry.count("signals_ignored")
            return
        at = observed_at or datetime.now(UTC)
        told = (name, value, Remark(source=source, note=note, key=key, observed_at=at))
        with self._lock:
            if not self._finished:
                # The oldest go first: of a name the last one counts.
                self._early = [*self._early[1 - MAX_SIGNALS :], told]
                return
        self._signal(self.id, *told)

    def fail(self, error: BaseException | str) -> None:
        """Report that the agent failed: one gate, not passed, and every other term at its worst.

        Of an exception only the type is sent: its message may hold secrets.
        """
        kind = error if isinstance(error, str) else type(error).__qualname__
        self.finish(
            gates=[{"name": _FAILED_GATE, "passed": False}],
            qav={"error": kind[:_MAX_ERROR_LENGTH]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._finished:
            return
        if error is not None:
            self.fail(error)
            return
        self._telemetry.warn(
            "unfinished", "a run ended without finish(); it is reported without any metric"
        )
        self.finish()

    def _send(self, sections: Mapping[str, Any]) -> None:
        assignment = self._assignment
        if not assignment.policy.name:
            # Nobody could tell whose loss this is.
            self._telemetry.count("bundles_unattributed")
            return
        head: dict[str, Any] = {
            **self._identity,
            "runId": assignment.run_id,
            "policy": assignment.policy.name,
            "arm": assignment.arm,
            "propensity": assignment.propensity,
            "revision": assignment.revision,
        }
        if assignment.rollout is not None:
            head["rollout"] = assignment.rollout
        if self._tenant is not None:
            head["tenant"] = self._tenant
        self._report(self._encode(head, sections))

    def _encode(self, head: dict[str, Any], sections: Mapping[str, Any]) -> bytes:
        try:
            return _json({**head, **sections})
        except (TypeError, ValueError, RecursionError):
            return _json({**head, **self._encodable(sections)})

    def _encodable(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        """The sections that are JSON; a run with some of its metrics is better than none."""
        good: dict[str, Any] = {}
        for name, value in sections.items():
            try:
                _json(value)
            except (TypeError, ValueError, RecursionError) as error:
                self._telemetry.count("sections_dropped")
                self._telemetry.warn(
                    f"encode {name}", "%s of a run is no JSON and was left out: %s", name, error
                )
            else:
                good[name] = value
        return good


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Numbers of array libraries have `item`; everything else is not for JSON."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        return item()
    raise TypeError(f"{type(value).__name__} is not JSON")
