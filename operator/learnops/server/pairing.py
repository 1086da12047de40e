"""Shadow pairs: opened before the candidate runs, and what it then tells. Never traffic.

What a candidate tells here is stored beside the run of control and nowhere else: it moves no
counter, and no run, loss or signal of the policy that is served comes from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from learnops.adapters.postgres import pairs as table
from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool
from learnops.adapters.postgres.generations import frozen_crl
from learnops.adapters.postgres.pair_terms import TermMeans, term_means
from learnops.adapters.postgres.pairs import Pair, Told
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runs import RunKey
from learnops.domain.crl.score import CRLResult
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Yardsticks
from learnops.domain.observed import Key
from learnops.server.answers import BundleAnswer
from learnops.server.assigning import traffic_of
from learnops.server.beside import Beside
from learnops.server.contents import is_content_of, large_content
from learnops.server.models import Bundle
from learnops.server.problems import Problem
from learnops.server.rows import breakdown_of, content_of, hash_of
from learnops.server.scoring import (
    another_doers,
    answer,
    frozen_yardsticks,
    in_force,
    score_bundle,
)
from learnops.server.state import State
from learnops.server.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    told: Told
    content: str
    result: CRLResult


class Pairing:
    """Opens pairs of the shadow stage that a doer is in, and takes what candidates tell."""

    def __init__(self, *, pool: Pool, state: State, wakeups: Wakeups, beside: Beside) -> None:
        self._beside = beside
        self._pool = pool
        self._wakeups = wakeups
        self._state = state

    async def open(
        self, *, namespace: str, doer: str, rollout: str, run_ids: Sequence[str]
    ) -> list[str]:
        """The runs that now have a pair; one that had one is not among them.

        Empty where the doer has left that shadow stage. Raises Problem 404 (no such doer) and
        DatabaseUnavailableError: then the candidate must not run.
        """
        _found, traffic = traffic_of(self._state, namespace=namespace, doer=doer)
        if traffic.shadow is None or traffic.salt != rollout:
            return []
        reference = RolloutRef(rollout=rollout, namespace=namespace, doer=doer)
        return await table.open_pairs(self._pool, rollout=reference, run_ids=run_ids)

    async def term_means(self, rollout: str) -> list[TermMeans] | None:
        """All terms compared over the newest pairs; None while the database is away."""
        try:
            return await term_means(self._pool, rollout=rollout)
        except DatabaseUnavailableError:
            return None

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[BundleAnswer]:
        """One answer per bundle, in order; a repetition is told that it is one.

        Raises DatabaseUnavailableError; repeating is safe.
        """
        contents = [await large_content(bundle, beside=self._beside) for bundle in bundles]
        found = await self._pairs(bundles)
        # The stage ends where the weights change: all its pairs are of the first generation.
        generations = {(pair.rollout, 1) for pair in found.values()}
        frozen = await frozen_crl(self._pool, generations=generations) if generations else {}
        by = {rollout: _yardsticks(crl) for (rollout, _), crl in frozen.items()}
        scored = [
            _scored(bundle, pair=found.get((bundle.namespace, bundle.run_id)), by=by, made=content)
            for bundle, content in zip(bundles, contents, strict=True)
        ]
        first: dict[RunKey, _Scored] = {}
        for item in scored:
            if isinstance(item, _Scored):
                first.setdefault(item.told.key, item)
        held = await self._tell([item.told for item in first.values()])
        return [
            item
            if isinstance(item, Problem)
            else await _answer(item, first=first[item.told.key], held=held.get(item.told.key))
            for item in scored
        ]

    async def _tell(self, told: Sequence[Told]) -> dict[RunKey, bytes]:
        held = await table.tell(self._pool, told=told)
        new = [it for it in told if it.key not in held]
        await self._wakeups.tell({Key(namespace=it.namespace, doer=it.doer) for it in new})
        return held

    async def _pairs(self, bundles: Sequence[Bundle]) -> dict[tuple[str, str], Pair]:
        found: dict[tuple[str, str], Pair] = {}
        for namespace in {bundle.namespace for bundle in bundles}:
            run_ids = [bundle.run_id for bundle in bundles if bundle.namespace == namespace]
            pairs = await table.pairs_of(self._pool, namespace=namespace, run_ids=run_ids)
            found |= {(namespace, run_id): pair for run_id, pair in pairs.items()}
        return found


def _scored(
    bundle: Bundle,
    *,
    pair: Pair | None,
    by: Mapping[str, Yardsticks | InvalidMetric],
    made: str | None,
) -> _Scored | Problem:
    """`made`: its canonical JSON, where that was made before."""
    try:
        result = _score(bundle, pair=pair, by=by)
    except InvalidMetric as error:
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=error.field)
    content = content_of(bundle) if made is None else made
    told = Told(
        namespace=bundle.namespace,
        run_id=bundle.run_id,
        doer=bundle.doer,
        loss=result.loss,
        breakdown=breakdown_of(result),
        content_hash=hash_of(content),
    )
    return _Scored(told=told, content=content, result=result)


async def _answer(item: _Scored, *, first: _Scored, held: bytes | None) -> BundleAnswer:
    """Of a report, beside what its pair held before or, if that was nothing, the first one here."""
    run_id = item.told.run_id
    if held is None and item is first:
        return answer(run_id, status="accepted", result=item.result)
    if held is None:
        same = item.content == first.content
    else:
        same = await is_content_of(held, item.content)
    if not same:
        detail = f"the pair of run {run_id!r} is stored with other content"
        return Problem(HTTPStatus.CONFLICT, detail, field="runId")
    return answer(run_id, status="duplicate", result=item.result)


def _yardsticks(crl: Mapping[str, object]) -> Yardsticks | InvalidMetric:
    try:
        return frozen_yardsticks(crl)
    except InvalidMetric as error:
        return error


def _score(
    bundle: Bundle, *, pair: Pair | None, by: Mapping[str, Yardsticks | InvalidMetric]
) -> CRLResult:
    """With the weights of the rollout. Raises InvalidMetric naming the field."""
    if pair is None:
        detail = "has no open pair: open one with POST /v1/shadows before the candidate runs"
        raise InvalidMetric(field="runId", detail=detail)
    if pair.doer != bundle.doer:
        raise another_doers(bundle.doer)
    if pair.candidate != bundle.policy:
        detail = f"must be the candidate of the pair, {pair.candidate!r}"
        raise InvalidMetric(field="policy", detail=detail)
    return score_bundle(bundle, in_force(by[pair.rollout]).of(bundle.tenant))
