"""Simulated logs for the tests of the evidence engine: fixed seeds, vectorised over runs."""

import numpy as np

from learnops.domain.evidence import anytime, counters
from learnops.domain.evidence import types as evidence_types

PLAN = evidence_types.TestPlan.for_canary(
    promote_level=0.05,
    margin=0.0,
    rollback_level=0.05,
    tolerance=None,
    attempt=1,
    gated_shares=(5.0, 10.0, 25.0),
)
TWO_TESTS = evidence_types.TestPlan()


def beta(rng, count):
    """Mean 0.30, standard deviation 0.15."""
    return rng.beta(2.5, 35 / 6, count)


def observations(rng, *, runs, propensity, difference=0.0, losses=beta, first=1, void=None):
    candidate = rng.random(runs) < propensity
    loss = np.clip(losses(rng, runs) + difference * candidate, 0.0, 1.0)
    return evidence_types.Observations(
        seq=np.arange(first, first + runs),
        is_candidate=candidate,
        propensity=np.broadcast_to(np.asarray(propensity, dtype=float), runs).copy(),
        loss=loss,
        void=void,
    )


def rows(observed, first, last):
    """The runs ``first`` to ``last`` (positions, end exclusive)."""
    cut = slice(first, last)
    return evidence_types.Observations(
        seq=observed.seq[cut],
        is_candidate=observed.is_candidate[cut],
        propensity=observed.propensity[cut],
        loss=observed.loss[cut],
        void=None if observed.void is None else observed.void[cut],
    )


def crossings(rng, *, canaries, plan=TWO_TESTS, **scenario):
    """Seq at which each canary was promoted and rolled back (inf: never) and its candidate runs."""
    fresh = anytime.start(plan)
    promoted, rolled, candidates = [], [], []
    for _ in range(canaries):
        observed = observations(rng, **scenario)
        evidence = anytime.advance(fresh, observed).evidence()
        promoted.append(evidence.promote.crossed_at or np.inf)
        rolled.append(evidence.rollback.crossed_at or np.inf)
        end = int(min(rolled[-1], len(observed)))
        candidates.append(int(observed.is_candidate[:end].sum()))
    return np.array(promoted), np.array(rolled), np.array(candidates)


def increments(observed, *, every):
    """What counters show of a log that is scraped each ``every`` runs."""
    for first in range(0, len(observed), every):
        part = rows(observed, first, first + every)
        yield counters.CounterIncrement(
            revision=1,
            propensity=float(part.propensity[0]),
            candidate=_sums(part.loss[part.is_candidate]),
            control=_sums(part.loss[~part.is_candidate]),
        )


def _sums(loss):
    return counters.ArmSums(n=len(loss), s=float(loss.sum()), q=float((loss * loss).sum()))


def counter_crossings(rng, *, canaries, every=25, plan=TWO_TESTS, **scenario):
    """Like ``crossings`` (without candidate runs) for the Counters method."""
    promoted, rolled = [], []
    for _ in range(canaries):
        state = counters.start(plan, first_revision=1)
        for increment in increments(observations(rng, **scenario), every=every):
            state = counters.absorb(state, increment)
        evidence = state.evidence()
        promoted.append(evidence.promote.crossed_at or np.inf)
        rolled.append(evidence.rollback.crossed_at or np.inf)
    return np.array(promoted), np.array(rolled)
