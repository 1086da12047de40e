"""One execution of a doer, as the SDK keeps it; agents see it through `Run` or `AsyncRun`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from learnops.client import context
from learnops.client.assignment import Assignment
from learnops.client.bundle import Outcome, encode
from learnops.client.policy import Policy
from learnops.client.responses import read, text_or_none, tokens
from learnops.client.signals import MAX_SIGNALS, Remark
from learnops.client.telemetry import Telemetry
from learnops.client.usage import Call, Ledger, Source
from learnops.client.waiting import Steps

if TYPE_CHECKING:
    from learnops.client.prices import Prices

_FAILED_GATE = "completed"
_MAX_ERROR_LENGTH = 500


class Running:
    """A run from its draw to its report. Thread-safe.

    Attributes:
        assignment: the draw, as it was answered.
        shadow: the candidate that is to run on the same input; None: none is.
        dry_run: this is the candidate beside a run of control.
    """

    __slots__ = (
        "_began",
        "_blocks",
        "_early",
        "_finished",
        "_identity",
        "_ledger",
        "_lock",
        "_outside",
        "_prices",
        "_report",
        "_signal",
        "_telemetry",
        "_tenant",
        "assignment",
        "dry_run",
        "shadow",
    )

    def __init__(
        self,
        *,
        identity: Mapping[str, str],
        assignment: Assignment,
        tenant: str | None,
        report: Callable[[bytes], Steps[None]],
        telemetry: Telemetry,
        prices: "Prices | None" = None,
        shadow: Policy | None = None,
        dry_run: bool = False,
        signal: Callable[[str, str, object, Remark], None] | None = None,
    ) -> None:
        """`report` takes the bundle, `signal` what is told of the run's work; None: of this run
        nothing is kept."""
        self.assignment = assignment
        self.shadow = shadow
        self.dry_run = dry_run
        self._identity = identity
        self._tenant = tenant
        self._report = report
        self._telemetry = telemetry
        self._prices = prices
        self._signal = signal
        self._early: list[tuple[str, object, Remark]] = []
        self._ledger: Ledger | None = None  # most runs record no call, and each would pay for it
        self._began = time.monotonic()
        self._finished = False
        self._lock = RLock()  # a signal handler may fail the run that it interrupts
        self._outside: Running | None = None
        self._blocks: list[Running | None] = []  # what was current before each `with` block

    def begin(self, now: float) -> None:
        """Count the duration and the model calls from `now` (monotonic seconds) on, where a run had
        to wait or begins anew."""
        self._began = now
        self._ledger = None

    @property
    def finished(self) -> bool:
        """Whether it was reported, or never will be."""
        return self._finished

    @property
    def over(self) -> bool:
        """Whether its blocks were left as well: what is called now cannot be called for it."""
        return self._finished and not self._blocks

    @property
    def outside(self) -> "Running | None":
        """What was current before its last `with` block."""
        return self._outside

    def record(self, call: Call, source: Source) -> None:
        """Count a model call; one that comes after the report is counted as late."""
        if self._finished:
            self._telemetry.count("usage_late")
            self._telemetry.warn("usage", "a model call ended after its run was finished")
        else:
            self._calls().add(call, source)

    def record_usage(
        self,
        *,
        model: str,
        input_tokens: int,
        output_tokens: int,
        cached_input_tokens: int,
        response_id: str | None,
    ) -> None:
        """Count a call that the agent tells of itself."""
        sent, made, cached = map(tokens, (input_tokens, output_tokens, cached_input_tokens))
        if sent is None or made is None or cached is None or not isinstance(model, str):
            self.record_silent("response")
            self._telemetry.warn(
                "response",
                "record_usage got no numbers of tokens; the cost of its run is not known",
            )
            return
        call = Call(
            models=(model,),
            input_tokens=sent,
            output_tokens=made,
            cached_input_tokens=cached,
            response_id=text_or_none(response_id),
        )
        self.record(call, "response")

    def record_silent(self, source: Source) -> None:
        """Count a model call that does not say what it used."""
        if not self._finished:
            self._calls().add_silent(source)
        self._telemetry.count("usage_unreadable")

    def record_response(self, response: object) -> None:
        """Count the call that a client's response tells of."""
        told = read(response)
        if isinstance(told, Call):
            self.record(told, "response")
        elif told is None:
            self.record_silent("response")
            self._telemetry.warn(
                "response",
                "a response (%s) tells no token usage; the cost of its run is not known",
                type(response).__name__,
            )
        elif told.response_id is not None:
            self._calls().begin_stream(told.response_id)

    def finishing(self, outcome: Outcome) -> Steps[None]:
        """Report the run; only the first time counts."""
        if not self._end():
            self._telemetry.count("finishes_ignored")
            self._telemetry.warn("finish", "a run was finished twice; only the first time counts")
            return
        if not self.assignment.policy.name:
            # Nobody could tell whose loss this is.
            self._telemetry.count("bundles_unattributed")
            self._forget_signals()
            return
        sections = outcome.sections(
            elapsed_milliseconds=(time.monotonic() - self._began) * 1000,
            costs={} if self._ledger is None else self._ledger.costs(self._prices),
            telemetry=self._telemetry,
        )
        bundle = encode(
            sections,
            identity=self._identity,
            assignment=self.assignment,
            tenant=self._tenant,
            telemetry=self._telemetry,
        )
        try:
            yield from self._report(bundle)
        finally:
            # Also where the agent's task was cancelled, as the bundle goes on its way even then.
            self._send_early()

    def failing(self, error: BaseException | str) -> Steps[None]:
        """Report a failure; see `Run.fail`."""
        kind = error if isinstance(error, str) else type(error).__qualname__
        return self.finishing(
            Outcome(
                gates=[{"name": _FAILED_GATE, "passed": False}],
                qav={"error": kind[:_MAX_ERROR_LENGTH]},
            )
        )

    def withdraw(self) -> bool:
        """Never report it, nor run a candidate beside it; False where it was finished already."""
        first = self._end()
        if first:
            self.shadow = None
            self._forget_signals()
        return first

    def signal(self, name: str, value: object, remark: Remark) -> None:
        """Tell what was found out about the run's work, or keep it until the run is reported."""
        if remark.observed_at is None:
            remark = replace(remark, observed_at=datetime.now(UTC))
        with self._lock:
            send = self._signal
            if send is not None and not self._finished:
                # The oldest go first: of a name the last one counts.
                self._early = [*self._early[1 - MAX_SIGNALS :], (name, value, remark)]
                return
        if send is None:
            self._telemetry.count("signals_ignored")
        else:
            send(self.assignment.run_id, name, value, remark)

    def enter(self) -> None:
        """A `with` block begins: what is called in there is called for this run."""
        self._outside = context.enter(self)
        self._blocks.append(self._outside)

    def leaving(self, error: BaseException | None) -> Steps[None]:
        """The block ends: a run that was not finished in it is."""
        if self._blocks:
            context.enter(self._blocks.pop())
        if self._finished:
            return
        if error is not None:
            yield from self.failing(error)
            return
        self._telemetry.warn(
            "unfinished", "a run ended without finish(); it is reported without any metric"
        )
        yield from self.finishing(Outcome())

    def _calls(self) -> Ledger:
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger()
            return self._ledger

    def _send_early(self) -> None:
        early, self._early = self._early, []
        for name, value, remark in early:
            self.signal(name, value, remark)

    def _forget_signals(self) -> None:
        """The api will never know this run."""
        self._signal = None
        self._send_early()

    def _end(self) -> bool:
        with self._lock:
            again, self._finished = self._finished, True
        return not again
