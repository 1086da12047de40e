"""Figures of a canary beside its e-values: the difference, and the split of the runs."""

from learnops.api.common import Number, StatusModel


class DifferenceStatus(StatusModel):
    """The difference of mean losses, candidate minus control: below 0 is better."""

    estimate: Number
    """The estimate, never to be read without its bounds."""
    low: Number
    """The lower bound; with 95 % probability no look ever finds the truth below it or above high.
    -1 where nothing is excluded yet."""
    high: Number
    """The upper bound; 1 where nothing is excluded yet."""


class SampleRatioStatus(StatusModel):
    """Whether the arms got the runs that they were meant to get."""

    assigned: Number
    """E-value against "the draws were split as planned"."""
    completed: Number
    """The same on the runs that were reported, not timed out."""
    threshold: Number
    """The e-value of either from which nothing goes up."""
    expected_share: Number | None = None
    """Share of the candidate that was meant, over all runs, 0 to 1."""
    observed_share: Number | None = None
    """Share of the candidate that was found."""
