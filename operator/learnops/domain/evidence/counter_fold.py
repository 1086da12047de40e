"""Keeping the watermark small: processes that are gone are folded into a short mark each.

An api that restarts often leaves a set of series per life. Forgotten, a life that comes back (its
target was away) would be counted again from zero; so a mark of it stays, and what it shows when it
comes back is a baseline and no evidence. What it counted while it was away is then missing, which
is kept in mind: nothing is promoted on evidence with a gap.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from learnops.domain.evidence.counter_series import CounterSample, Series
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason

FOLD_ABOVE = 128
"""Series that are kept before processes that are gone are folded."""
MAX_FOLDED = 1024

Samples = Mapping[Series, CounterSample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The marks of folded processes; `gap`: one came back, so runs are missing."""

    marks: frozenset[str] = frozenset()
    gap: bool = False


def mark(instance: str) -> str:
    """Eight characters (48 bits): among 1,024 marks a false match has a chance of 4e-12."""
    return b64encode(sha256(instance.encode()).digest()[:6]).decode()


def unfold(
    samples: Samples, folded: Folded, scrape: Iterable[CounterSample]
) -> tuple[Samples, Folded]:
    """Take processes that came back as they stand now."""
    back = [one for one in scrape if mark(one.series.instance) in folded.marks]
    if not back:
        return samples, folded
    marks = folded.marks - {mark(one.series.instance) for one in back}
    return {**samples, **{one.series: one for one in back}}, Folded(marks=marks, gap=True)


def fold(
    samples: Samples, folded: Folded, scrape: Iterable[CounterSample]
) -> tuple[Samples, Folded]:
    """Fold processes that are not in the scrape, as many as it takes, earliest revisions first.

    Raises:
        EvidenceError: SeriesTooMany, after `MAX_FOLDED` lives in one rollout.
    """
    now = list(scrape)
    excess = len(samples.keys() | {one.series for one in now}) - FOLD_ABOVE
    if excess <= 0:
        return samples, folded
    present, sizes = {one.series.instance for one in now}, _by_instance(samples)
    marks = set(folded.marks)
    for instance, revisions in sorted(sizes.items(), key=lambda item: (max(item[1]), item[0])):
        if excess > 0 and instance not in present:
            marks.add(mark(instance))
            excess -= len(revisions)
    if len(marks) > MAX_FOLDED:
        raise EvidenceError(
            reason=EvidenceReason.SERIES_TOO_MANY,
            detail=f"over {MAX_FOLDED} processes have come and gone in one rollout; "
            "find out why the api restarts, then order Retry",
        )
    kept = {series: one for series, one in samples.items() if mark(series.instance) not in marks}
    return kept, Folded(marks=frozenset(marks), gap=folded.gap)


def _by_instance(samples: Samples) -> dict[str, list[int]]:
    revisions: dict[str, list[int]] = {}
    for series in samples:
        revisions.setdefault(series.instance, []).append(series.revision)
    return revisions
