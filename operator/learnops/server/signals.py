"""Signals of runs that come later: CI, thumbs, a merged pull request. Never evidence."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from learnops.adapters.postgres import signals as table
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.signals import RunSignals, Signal, StoredReward
from learnops.domain.bundle_limits import MAX_LATER
from learnops.domain.crl.terms import InvalidMetric
from learnops.server.batching import Batcher, BatchLimits, Queue
from learnops.server.beside import Beside
from learnops.server.metrics import Metrics
from learnops.server.problems import Problem, not_found
from learnops.server.redacting import Redacting
from learnops.server.rewarding import weights_of
from learnops.server.signal_models import (
    LaterSignal,
    RewardAnswer,
    RewardLineAnswer,
    SignalResult,
    SignalsAnswer,
)
from learnops.server.state import State

# A request is a transaction of its own; few at a time, or they could starve ingest of the pool.
_LIMITS = BatchLimits(batch=1, waiting=1000, flushes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """The run that signals are of, and the doer that it is said to be of."""

    namespace: str
    run_id: str
    doer: str


class Signals:
    """Appends signals to runs, and tells what is stored of them."""

    def __init__(self, *, pool: Pool, state: State, metrics: Metrics, beside: Beside) -> None:
        self._pool = pool
        self._state = state
        self._redacting = Redacting(state=state, metrics=metrics, beside=beside)
        self._batcher = Batcher[RunSignals, SignalsAnswer | Problem](self._write, limits=_LIMITS)

    async def take(self, run: RunRef, signals: Sequence[LaterSignal]) -> SignalsAnswer:
        """Stored when this returns: all of them or, where it raises, none.

        Raises DatabaseUnavailableError (repeating is safe) and Problem: 404 for a run that nobody
        knows, 409 for a key that is taken, 422, 429.
        """
        doer = self._state.doers.get((run.namespace, run.doer))
        wanted = RunSignals(
            namespace=run.namespace,
            run_id=run.run_id,
            doer=run.doer,
            weights=weights_of(doer),
            signals=await self._all_kept(run, signals),
        )
        (answer,) = await self._batcher.submit([wanted])
        if isinstance(answer, Problem):
            raise answer
        return answer

    async def of_run(self, namespace: str, run_id: str) -> dict[str, Any]:
        """`signals` and `reward` of a run, as they are told with it."""
        signals, reward = await table.of_run(self._pool, key=(namespace, run_id))
        return {
            "signals": [{name: _plain(value) for name, value in it.items()} for it in signals],
            "reward": None
            if reward is None
            else _told(reward).model_dump(by_alias=True) | {"weights": reward.weights},
        }

    @property
    def queue(self) -> Queue:
        """Runs whose signals wait to be written."""
        return self._batcher.queue

    async def drain(self) -> None:
        """Wait until all that was taken is written."""
        await self._batcher.drain()

    async def _all_kept(self, run: RunRef, signals: Sequence[LaterSignal]) -> list[Signal]:
        kept = []
        for place, signal in enumerate(signals):
            kept.append(self._kept(run, signal, place=place))
            await asyncio.sleep(0)  # a hundred long notes must not hold up others' requests
        return kept

    def _kept(self, run: RunRef, signal: LaterSignal, *, place: int) -> Signal:
        doer = (run.namespace, run.doer)
        try:
            kinds = self._redacting.kinds_in(doer, signal.key)
            source, note = self._redacting.texts(doer, [signal.source, signal.note])
        except InvalidMetric as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=error.field) from error
        if kinds:
            # Under a mask two keys would be one, and the second signal taken for the first.
            field = f"signals[{place}].key"
            detail = f"{field}: must hold no personal data, but looks like it does "
            detail += f"({', '.join(kinds)}); send an id that names nobody"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field)
        return Signal(
            name=signal.name,
            value=signal.value,
            key=signal.key,
            source=source,
            note=note,
            observed_at=signal.observed_at,
        )

    async def _write(self, runs: Sequence[RunSignals]) -> Sequence[SignalsAnswer | Problem]:
        return [await self._one(run) for run in runs]

    async def _one(self, run: RunSignals) -> SignalsAnswer | Problem:
        try:
            done = await table.append(self._pool, run=run)
        except table.UnknownRunError:
            return not_found(
                f"no run {run.run_id[:200]!r} in namespace {run.namespace!r}; send its bundle to "
                "POST /v1/runs first, or correct the id"
            )
        except table.OtherDoerError:
            # Which one is not for whoever may report for this doer alone.
            detail = f"doer: is {run.doer!r}, but the run is another doer's; name that one"
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="doer")
        except table.KeyTakenError as error:
            detail = f"signal {run.signals[error.position].key!r} is stored with other content; "
            detail += "the first stays: send another key"
            return Problem(HTTPStatus.CONFLICT, detail, field=f"signals[{error.position}].key")
        except table.TooManySignalsError as error:
            detail = f"signals: the run has {error.held} of at most {MAX_LATER}; send fewer"
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="signals")
        return SignalsAnswer(
            run_id=run.run_id,
            results=[
                SignalResult(key=it.key or "", status="accepted" if is_new else "duplicate")
                for it, is_new in zip(run.signals, done.new, strict=True)
            ],
            reward=_told(done.reward),
        )


def _told(reward: StoredReward) -> RewardAnswer:
    return RewardAnswer(
        value=reward.value,
        partial=reward.partial,
        terms=[RewardLineAnswer.model_validate(line) for line in reward.breakdown["terms"]],
        missing=reward.breakdown["missing"],
    )


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
