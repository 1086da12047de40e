"""Why a unit has one observation: sticky tenants, judged per run and per epoch, by the engine."""

import numpy as np

from learnops.domain.evidence import anytime
from learnops.domain.evidence.types import Observations
from tests.unit.domain.simulate import TWO_TESTS

CANARIES = 150
TENANTS = 20
EPOCHS = 40
RUNS = 5  # of a tenant in an epoch


def worlds(rng):
    """Losses of a canary whose arms are equal: tenants differ, and drift a little each epoch."""
    for _ in range(CANARIES):
        tenant = rng.normal(0.4, 0.15, (TENANTS, 1, 1))
        epoch = rng.normal(0.0, 0.05, (TENANTS, EPOCHS, 1))
        run = rng.normal(0.0, 0.1, (TENANTS, EPOCHS, RUNS))
        yield np.clip(tenant + epoch + run, 0.0, 1.0)


def called(candidate, loss):
    """Whether the engine, at 5 % for each decision, ever promoted or rolled back."""
    log = Observations(
        seq=np.arange(1, len(loss) + 1),
        is_candidate=candidate,
        propensity=np.full(len(loss), 0.5),
        loss=loss,
    )
    found = anytime.advance(anytime.start(TWO_TESTS), log).evidence()
    return found.promote.crossed_at is not None, found.rollback.crossed_at is not None


def per_run(rng, losses):
    """A tenant is drawn once; each of its runs is taken for an observation of its own."""
    arms = np.broadcast_to(rng.random((TENANTS, 1, 1)) < 0.5, losses.shape)
    in_time = (1, 2, 0)
    return called(arms.transpose(in_time).ravel(), losses.transpose(in_time).ravel())


def per_epoch(rng, losses):
    """A tenant is drawn in each epoch; the mean of its runs there is the observation."""
    arms = rng.random((TENANTS, EPOCHS)) < 0.5
    return called(arms.T.ravel(), losses.mean(axis=2).T.ravel())


def false_calls(judge, *, seed):
    rng = np.random.default_rng(seed)
    return np.array([judge(rng, losses) for losses in worlds(rng)]).mean(axis=0)


def test_sticky_tenants_judged_per_run_make_many_false_calls():
    promoted, rolled_back = false_calls(per_run, seed=1)
    assert promoted + rolled_back > 0.39


def test_drawn_and_judged_per_epoch_they_hold_the_level():
    promoted, rolled_back = false_calls(per_epoch, seed=1)
    assert promoted <= 0.05
    assert rolled_back <= 0.05
