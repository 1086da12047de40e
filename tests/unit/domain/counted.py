"""Counters of an epoch as Prometheus would tell them."""

from learnops.domain.assignment import Arm
from learnops.domain.evidence.counters import CounterSample, Series, difference_counters

HALF = {1: 0.5, 2: 0.5, 3: 0.5}


def sample(
    count, loss_sum, loss_sumsq, *, arm=Arm.CANDIDATE, revision=1, instance="a", timeouts=0.0
):
    return CounterSample(
        series=Series(revision, arm, instance),
        count=count,
        loss_sum=loss_sum,
        loss_sumsq=loss_sumsq,
        timeouts=timeouts,
    )


def gained(previous, *current):
    """Increments of one more scrape, and what to keep."""
    return difference_counters(previous, current, propensities=HALF, first_revision=1)
