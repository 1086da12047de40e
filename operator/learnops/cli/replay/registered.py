"""What a rollout's candidate is judged by: its log as it was scored, and as it would have been."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.adapters.postgres import whatif as log
from learnops.adapters.postgres import whatif_rollouts as rollouts
from learnops.adapters.postgres.whatif import Column, Reader
from learnops.adapters.postgres.whatif_rollouts import Rollout
from learnops.api.assignment import Unit
from learnops.api.canary import CanaryDeployment
from learnops.api.guardrails import on_terms
from learnops.cli.evaluation.errors import EvaluationError
from learnops.cli.evaluation.logs import Log
from learnops.cli.replay.target import TERMS, Target
from learnops.cli.replay.values import floats, value_columns, values_of
from learnops.domain.crl.columns import Floats
from learnops.domain.crl.whatif import score_each
from learnops.domain.evidence.blocks import BLOCK_RUNS
from learnops.domain.evidence.types import Observations

Rows = NDArray[Any]


def logs_of(
    connection: Reader,
    target: Target,
    rollout: Rollout,
    *,
    canary: CanaryDeployment,
    candidate: str,
) -> tuple[Log, Log]:
    """With the losses on record, and with those by the other yardstick.

    Raises:
        EvaluationError: no run of the rollout is resolved.
    """
    analysis = canary.spec.analysis
    guardrails = [it.term for it in on_terms(analysis.guardrails)]
    # Beyond maxRuns a canary is looked at while something holds it; void runs do not count.
    limit = 2 * analysis.max_runs + BLOCK_RUNS
    columns = [log.tenant_column(target.tenants), *_scored(), *value_columns(target)]
    of_runs = rollout.unit is Unit.RUN
    drawn = _joined(
        rollouts.registered(
            connection,
            rollout,
            candidate=candidate,
            limit=limit,
            columns=columns if of_runs else (),
        )
    )
    if of_runs:
        before, after = _losses(drawn, target, guardrails)
    else:
        runs = _joined(rollouts.runs_of_units(connection, rollout, limit=limit, columns=columns))
        before, after = (_means(drawn, runs, it) for it in _losses(runs, target, guardrails))
    before[:, 0] = drawn["evidence"]  # as it is on record, be it by several weights
    several = len(rollout.attempts) > 1
    return (
        _log(rollout, candidate, _observations(drawn, before, several=several)),
        _log(rollout, candidate, _observations(drawn, after, several=several)),
    )


def _scored() -> list[Column]:
    return [log.term_column(term) for term in TERMS]


def _joined(pieces: Iterable[Rows]) -> Rows:
    found = list(pieces)
    if not found:
        raise EvaluationError("none of its runs is resolved")
    return np.concatenate(found)


def _losses(runs: Rows, target: Target, guardrails: Sequence[str]) -> tuple[Floats, Floats]:
    """Before and after, (n, 1 + guardrails): the loss and the guardrails' terms, 1 for a run that
    was resolved by time. The loss before is left to the caller."""
    told = runs["told"] == 1.0
    values = values_of(runs, target)
    loss = score_each(
        values,
        target.yardsticks,
        tenant=runs["tenant"].astype(np.int64),
        tenants=target.tenants,
    ).loss
    before = [loss, *(_worst_if_silent(floats(runs, name)) for name in guardrails)]
    after = [loss, *(_worst_if_silent(values[name]) for name in guardrails)]
    return _where_told(told, before), _where_told(told, after)


def _where_told(told: NDArray[np.bool_], columns: Sequence[Floats]) -> Floats:
    found: Floats = np.where(told[:, None], np.stack(columns, axis=1), 1.0)
    return found


def _worst_if_silent(column: Floats) -> Floats:
    return np.where(np.isnan(column), 1.0, column)


def _means(units: Rows, runs: Rows, losses: Floats) -> Floats:
    """Of each unit the means over its runs; 0 for one that was withdrawn whole."""
    places = np.searchsorted(units["seq"].astype(np.int64), runs["seq"].astype(np.int64))
    counts = np.maximum(np.bincount(places, minlength=len(units)), 1)
    sums = [
        np.bincount(places, weights=losses[:, column], minlength=len(units))
        for column in range(losses.shape[1])
    ]
    means: Floats = np.stack(sums, axis=1) / counts[:, None]
    return np.minimum(means, 1.0)


def _log(rollout: Rollout, candidate: str, runs: Observations) -> Log:
    lines = runs.seq + (rollout.first - 1)
    return Log(canary=rollout.canary, candidate=candidate, runs=runs, lines=lines)


def _observations(drawn: Rows, losses: Floats, *, several: bool) -> Observations:
    """As the engine reads them, numbered from 1: a generation is judged from its first run on."""
    propensity, arm = floats(drawn, "propensity"), drawn["arm"]
    return Observations(
        seq=np.arange(1, len(drawn) + 1),
        is_candidate=arm == 1.0,
        propensity=propensity,
        loss=losses[:, 0].copy(),
        void=(drawn["void"] == 1.0) | (propensity == 0.0),
        terms=losses[:, 1:].copy() if losses.shape[1] > 1 else None,
        is_other=arm == 2.0 if several else None,
        control_propensity=floats(drawn, "control") if several else None,
    )
