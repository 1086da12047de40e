"""One execution of a doer, as its agent sees it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from learnops.client.assignment import Assignment
from learnops.client.bundle import Outcome
from learnops.client.policy import Policy
from learnops.client.running import Running
from learnops.client.signals import Remark
from learnops.client.waiting import in_thread


class BaseRun:
    """What an agent got for one run, and what it tells of it on the way."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    @property
    def running(self) -> Running:
        """The run behind this view; for the SDK itself."""
        return self._running

    @property
    def id(self) -> str:
        """The run's id, under which signals can be added later."""
        return self.assignment.run_id

    @property
    def policy(self) -> Policy:
        """What to run with; empty where neither the api nor a default was there."""
        return self.assignment.policy

    @property
    def model(self) -> str | None:
        """The policy's model."""
        return self.assignment.policy.model

    @property
    def assignment(self) -> Assignment:
        """The draw, as it was answered."""
        return self._running.assignment

    @property
    def shadow(self) -> Policy | None:
        """The candidate that is to run on the same input, off the answer path; None: none is."""
        return self._running.shadow

    @property
    def dry_run(self) -> bool:
        """Whether nobody gets this answer: tools must then leave the world as it is."""
        return self._running.dry_run

    @property
    def arm(self) -> str:
        """`control` or `candidate`."""
        return self.assignment.arm

    @property
    def propensity(self) -> float:
        """π: the probability of a candidate, of any of several, when this run was drawn."""
        return self.assignment.propensity

    def record_response(self, response: object) -> None:
        """Count the tokens of a model call; never raises.

        Args:
            response: what an OpenAI-compatible client returned, an object or a dict: a completion,
                a chat completion, embeddings, an answer of the Responses API, or each part of a
                stream, in any order. The same answer counts once however often it is told, also
                where a span tells of it. One without usage makes the cost of the run unknown.
        """
        self._running.record_response(response)

    def record_usage(
        self,
        *,
        model: str,
        input_tokens: int,
        output_tokens: int,
        cached_input_tokens: int = 0,
        response_id: str | None = None,
    ) -> None:
        """Count the tokens of a model call of any other client.

        Args:
            model: its name in `prices`.
            input_tokens: all of the input, cached tokens included.
            output_tokens: all of the output, reasoning included.
            cached_input_tokens: those of the input that came from a cache.
            response_id: the provider's id of the answer; told twice, it counts once.
        """
        self._running.record_usage(
            model=model,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_input_tokens=cached_input_tokens,
            response_id=response_id,
        )

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

        Before `finish` it is kept until then: the api knows of no run before its bundle. Of a run
        that is never reported nothing is kept: a dry run, whose answer nobody got, one that was
        withdrawn, one without a policy.
        """
        remark = Remark(source=source, note=note, key=key, observed_at=observed_at)
        self._running.signal(name, value, remark)


class Run(BaseRun):
    """A run of a `Learner`. As a context manager it reports an exception as a failed run and lets
    it pass; what is called in the block is called for this run (`current` in `context`)."""

    __slots__ = ()

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
            costs: `costUSD`, and other costs by name; they override what was recorded.
            qav: answers of quality checks, as they are.
            artifacts: references to what the run made, each a mapping such as {"uri": …}.
            budget: `maxCostUSD` and `maxDurationMilliseconds`, where the run has its own.
            signals: what is known of the quality of its work by now, as in `signal`.
            duration_milliseconds: how long the run took; default: since `start`.
        """
        outcome = Outcome(
            metrics=metrics,
            gates=gates,
            costs=costs,
            qav=qav,
            artifacts=artifacts,
            budget=budget,
            signals=signals,
            duration_milliseconds=duration_milliseconds,
        )
        in_thread(self._running.finishing(outcome))

    def fail(self, error: BaseException | str) -> None:
        """Report that the agent failed: one gate, not passed, and every other term at its worst.

        Of an exception only the type is sent: its message may hold secrets.
        """
        in_thread(self._running.failing(error))

    def __enter__(self) -> Self:
        self._running.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        in_thread(self._running.leaving(error))
