"""Bundles in, losses out: each stored once, each resolved in the transaction that stores it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from learnops.adapters.postgres import runs as table
from learnops.adapters.postgres.announcements import Computed
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.generations import GenerationId, frozen_crl
from learnops.adapters.postgres.runs import Registration, RunKey, RunRow
from learnops.api.crl import CRLStatus
from learnops.api.doer import Doer
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Yardstick, Yardsticks
from learnops.ports.clock import Clock
from learnops.server.announcing import Announcer
from learnops.server.answers import BundleAnswer
from learnops.server.batching import Batcher, BatchLimits
from learnops.server.beside import Beside
from learnops.server.contents import large_content
from learnops.server.counting import Counted
from learnops.server.metrics import Metrics
from learnops.server.models import Bundle, RunAnswer
from learnops.server.problems import Problem
from learnops.server.redacting import Redacting
from learnops.server.reported import Scored, Taken, Wrong, answer_scored, answer_wrong
from learnops.server.rewarding import signals_of
from learnops.server.rows import content_of, crl_of, row_of, stored_answer
from learnops.server.scoring import (
    another_doers,
    frozen_yardsticks,
    in_force,
    score_bundle,
)
from learnops.server.state import State
from learnops.server.storing import store_apart, unstorable
from learnops.server.wake import Wake

_Version = tuple[int, CRLStatus | None]
_YARDSTICKS = 1000


class Ingest:
    """Takes bundles. Concurrent callers share transactions."""

    def __init__(
        self,
        *,
        pool: Pool,
        state: State,
        metrics: Metrics,
        resolved: Wake,
        announcer: Announcer,
        clock: Clock,
        beside: Beside,
        limits: BatchLimits | None = None,
    ) -> None:
        self._pool = pool
        self._beside = beside
        self._state = state
        self._metrics = metrics
        self._resolved = resolved
        self._announcer = announcer
        self._counted = Counted(clock=clock)
        self._redacting = Redacting(state=state, metrics=metrics, beside=beside)
        self._frozen: dict[GenerationId, Yardsticks | InvalidMetric] = {}
        self._present: dict[str, tuple[_Version, Yardsticks]] = {}  # by the doer's uid
        self._batcher = Batcher[Taken, BundleAnswer](
            self._write, limits=limits or BatchLimits(batch=500, waiting=20_000, flushes=2)
        )

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[BundleAnswer]:
        """One answer per bundle, in order: its score, or the problem with this one.

        Raises DatabaseUnavailableError (repeating is safe) and Problem 429.
        """
        # Before they share a transaction: a bundle that takes long delays its own request alone.
        kept = await self._redacting.clean(bundles)
        taken = [await self._taken(*each) for each in zip(bundles, kept, strict=True)]
        return await self._batcher.submit(taken)

    async def _taken(self, sent: Bundle, kept: Bundle | InvalidMetric) -> Taken:
        content = await large_content(kept, beside=self._beside)
        once = await self._redacting.once(sent)
        if once is None:
            return Taken(sent, kept, content)
        told = await large_content(once, beside=self._beside)
        return Taken(sent, kept, content, once=told or content_of(once))

    async def find(self, namespace: str, run_id: str) -> dict[str, Any] | None:
        """A stored run as it is answered, None if there is none."""
        found = (await table.stored(self._pool, keys=[(namespace, run_id)])).values()
        for run in found:
            told = stored_answer(run_id, status="stored", run=run)
            names = ("doer", "policy", "arm", "propensity", "revision", "rollout", "tenant")
            drawn = {name: run.row[name] for name in names}
            scored = told.model_dump(by_alias=True) | {"crl": crl_of(run)}
            return drawn | {"namespace": namespace} | scored
        return None

    async def drain(self) -> None:
        """Wait until all that was taken is written."""
        await self._batcher.drain()

    async def _write(self, taken: Sequence[Taken]) -> Sequence[BundleAnswer]:
        # Scored before they are told apart: what one report of a run has wrong is its own alone.
        scored = await self._scored(taken)
        first: dict[RunKey, Scored] = {}
        for item in scored:
            if isinstance(item, Scored):
                first.setdefault(item.key, item)
        rows = [item.row for item in first.values()]
        added, refused = await self._store(rows) if rows else (set(), set())
        settled = added | refused
        known = list(dict.fromkeys(it.key for it in scored if it.key not in settled))
        there = await table.stored(self._pool, keys=known) if known else {}
        answers = [
            await answer_wrong(item, stored=there.get(item.key))
            if isinstance(item, Wrong)
            else unstorable(item.row.run_id)
            if item.key in refused
            else await answer_scored(item, first=first[item.key], stored=there.get(item.key))
            for item in scored
        ]
        same = {
            item.key: _received_at(there[item.key])
            for item, told in zip(scored, answers, strict=True)
            if item.key in first and item.key in there and isinstance(told, RunAnswer)
        }
        new = self._counted.now(added=added, known=same)
        self._count([first[key].row for key in first if key in new])
        self._announce([first[key] for key in first if key in new])
        return answers

    async def _scored(self, taken: Sequence[Taken]) -> list[Scored | Wrong]:
        keys = list(dict.fromkeys(one.key for one in taken))
        drawn = await table.registrations(self._pool, keys=keys)
        frozen = await self._frozen_of({_generation_of(one) for one in drawn.values()})
        return [self._score(one, registration=drawn.get(one.key), frozen=frozen) for one in taken]

    async def _store(self, rows: Sequence[RunRow]) -> tuple[set[RunKey], set[RunKey]]:
        with self._counted.attempt([row.key for row in rows]):
            return await store_apart(rows, store=partial(table.store, self._pool))

    async def _frozen_of(
        self, generations: set[GenerationId]
    ) -> dict[GenerationId, Yardsticks | InvalidMetric]:
        """The yardsticks of each generation, or why there are none: harms its own runs alone."""
        held = {one: self._frozen[one] for one in generations if one in self._frozen}
        unknown = generations - set(held)
        if not unknown:
            return held
        for one, crl in (await frozen_crl(self._pool, generations=unknown)).items():
            held[one] = _frozen(crl)
        if len(self._frozen) > _YARDSTICKS:
            self._frozen.clear()
        self._frozen.update(held)
        return held

    def _score(
        self,
        taken: Taken,
        *,
        registration: Registration | None,
        frozen: Mapping[GenerationId, Yardsticks | InvalidMetric],
    ) -> Scored | Wrong:
        try:
            by = self._yardstick(taken.sent, registration=registration, frozen=frozen)
            result = score_bundle(taken.sent, by)
            if isinstance(taken.kept, InvalidMetric):
                raise taken.kept
        except InvalidMetric as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return Wrong(taken=taken, problem=Problem(status, str(error), field=error.field))
        row = row_of(
            taken.kept,
            registration=registration,
            result=result,
            signals=signals_of(taken.kept, state=self._state),
            content=taken.content,
        )
        return Scored(taken=taken, row=row, result=result)

    def _yardstick(
        self,
        bundle: Bundle,
        *,
        registration: Registration | None,
        frozen: Mapping[GenerationId, Yardsticks | InvalidMetric],
    ) -> Yardstick:
        if registration is not None:
            if registration.doer != bundle.doer:
                raise another_doers(bundle.doer)
            return in_force(frozen[_generation_of(registration)]).of(bundle.tenant)
        doer = self._state.doers.get((bundle.namespace, bundle.doer))
        if doer is None:
            detail = (
                f"no Doer {bundle.doer!r} in namespace {bundle.namespace!r}; create it, or correct "
                "the name"
            )
            raise InvalidMetric(field="doer", detail=detail)
        return self._present_yardsticks(doer).of(bundle.tenant)

    def _present_yardsticks(self, doer: Doer) -> Yardsticks:
        # Weights that nobody wrote down come from the status, which has no generation.
        uid, version = doer.metadata.uid, (doer.metadata.generation, doer.status.crl)
        held = self._present.get(uid)
        if held is None or held[0] != version:
            if len(self._present) >= _YARDSTICKS:
                self._present.clear()
            held = self._present[uid] = (version, yardsticks(doer.spec.scoring(doer.status)))
        return held[1]

    def _count(self, rows: Sequence[RunRow]) -> None:
        for row in rows:
            known = self._state.policy((row.namespace, row.policy)) is not None
            self._metrics.stored(row, policy=row.policy if known else "other")
        if any(row.rollout for row in rows):
            self._resolved.set()

    def _announce(self, scored: Sequence[Scored]) -> None:
        for it in scored:
            self._announcer.add(
                Computed(
                    namespace=it.row.namespace,
                    doer=it.row.doer,
                    run_id=it.row.run_id,
                    crl=it.result.crl,
                    loss=it.result.loss,
                )
            )


def _generation_of(registration: Registration) -> GenerationId:
    """By its number alone: nothing that the api learns late changes how a run is scored."""
    return registration.rollout, registration.generation


def _frozen(crl: Mapping[str, Any]) -> Yardsticks | InvalidMetric:
    try:
        return frozen_yardsticks(crl)
    except InvalidMetric as error:
        return error


def _received_at(run: table.StoredRun) -> datetime:
    return datetime.fromisoformat(run.row["received_at"])
