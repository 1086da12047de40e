"""What is known of the terms that runs report."""

from collections.abc import Mapping

from learnops.domain.crl.defaults import MIN_RUNS, OFTEN_PERCENT, default_weights
from learnops.domain.observed import TermsReading
from learnops.domain.planner.draft import Draft
from learnops.domain.unavailable import Unavailable


def reported(draft: Draft) -> TermsReading | None:
    """Of the policy that is active now; a reading from before a promotion tells of another."""
    reading = draft.snap.terms
    if isinstance(reading, TermsReading) and reading.policy == draft.active:
        return reading
    return None


def default_weights_now(draft: Draft) -> Mapping[str, str]:
    """What the weights would be, were they decided now; none where the spec has them."""
    reading = reported(draft)
    if draft.doer.spec.crl.weights is not None or reading is None:
        return {}
    return default_weights(runs=reading.runs, reported=reading.reported) or {}


def to_be_read(draft: Draft) -> bool:
    """Weights are to come from what runs of the active policy report, and nobody looked yet: the
    operator has just begun, or the policy has just become active."""
    unread = reported(draft) is None and not isinstance(draft.snap.terms, Unavailable)
    return unread and draft.doer.spec.crl.weights is None


def still_needed(draft: Draft) -> str:
    """What is waited for where the weights are not known."""
    reading = draft.snap.terms
    otherwise = "or set spec.crl.weights of the doer"
    if isinstance(reading, Unavailable):
        return f"{reading.message}; {otherwise}"
    known = reported(draft)
    if known is None:
        return f"what runs of {draft.active} report is still to be read; {otherwise}"
    if known.runs < MIN_RUNS:
        return (
            f"{known.runs} of {MIN_RUNS} runs of {draft.active} that tell which terms they report; "
            f"{otherwise}"
        )
    return f"no term is reported by {OFTEN_PERCENT} % of the runs of {draft.active}: report one"
