"""Figures of a canary beside its e-values: the difference, and the split of the runs."""

from typing import Annotated

from pydantic import Field

from learnops.api.common import Integer, ListType, Number, StatusModel


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


class GuardrailStatus(StatusModel):
    """Where one guardrail stands."""

    term: Annotated[str, Field(max_length=63)]
    """The term."""
    rollback: Number
    """Its own e-value against "not worse than the tolerance": a part of evidence.rollback."""
    promote: Number
    """E-value against "worse by the margin or more"."""
    promote_threshold: Number
    """The e-value of promote from which the guardrail lets the candidate be promoted."""
    candidate_mean: Number | None = None
    """Mean of the term over the candidate's runs, 0 to 1, lower is better."""
    control_mean: Number | None = None
    """The same over control's runs."""
    breaches: Annotated[Integer, Field(ge=0)] = 0
    """Runs of the candidate that reported the term above the tolerance."""


class EvidenceStatus(StatusModel):
    """E-values beside the thresholds at which they decide, as decimal text."""

    promote: Number
    """E-value against "the candidate is not better than the margin allows"."""
    promote_threshold: Number
    """The e-value of promote that promotes: 1/level, raised for each earlier attempt."""
    rollback: Number
    """E-value against "the candidate is not worse than the tolerance"."""
    rollback_threshold: Number
    """The e-value of rollback that rolls back: 1/level."""
    promote_p_value: Number | None = None
    """Only with method FixedHorizon, from its one look on: the p-value of promote, whose e-value is
    1/p then."""
    rollback_p_value: Number | None = None
    """The same of rollback."""
    futility: Number | None = None
    """E-value against "the candidate is better by minImprovement or more"; only with futility."""
    futility_threshold: Number | None = None
    """The e-value of futility that ends the canary: 1/level."""
    guardrails: Annotated[
        tuple[GuardrailStatus, ...], Field(max_length=9), ListType(kind="map", keys=("term",))
    ] = ()
    """Each guardrail of the spec."""
    culprit: Annotated[str, Field(max_length=63)] | None = None
    """What told most for roll-back when it was decided: loss, or a guardrail's term or name."""
