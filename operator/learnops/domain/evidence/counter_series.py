"""From raw counters, per instance and series, to what happened since the last look.

Never ``rate()`` or ``increase()``: they extrapolate. A series belongs to one life of one process:
a restart is another series, which began at zero, so all of it is new. Therefore no value ever
drops. One that does was asked of a source that is behind (the other of a pair of Prometheus, the
other replica behind one address): nothing is gained and the later sample is kept. Taken for a
reset, all that it holds would be counted again at each such look, and worthless candidates would
be promoted. A series that is gone adds nothing; its last value is kept, in case it returns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

from learnops.domain.assignment import Arm
from learnops.domain.evidence.betting import MIN_PROPENSITY
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason

MAX_SERIES = 256
MAX_INSTANCE_LENGTH = 128
_SLACK = 1e-9
"""Rounding of float sums that is forgiven, per run counted so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSums:
    """Runs ``n``, sum ``s`` and sum of squares ``q`` of their losses, each loss in [0, 1].

    ``timeouts``: how many of them were resolved by time; None: not known of all.
    """

    n: int
    s: float
    q: float
    timeouts: int | None = 0


NOTHING = ArmSums(n=0, s=0.0, q=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterIncrement:
    """Runs that came into the evidence since the last look, all drawn in one traffic revision.

    ``propensity`` is the probability (0..1) of the candidate in that revision.
    """

    revision: int
    propensity: float
    candidate: ArmSums
    control: ArmSums


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What tells one counter series of a doer from another.

    ``instance`` is whatever counts, from its start to its end: never the same after a restart.
    """

    revision: int
    arm: Arm
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSample:
    """One scrape of the counters of a series, as they stand (not differenced).

    ``timeouts``: of the runs, those that were resolved by time; None: not told.
    """

    series: Series
    count: float
    loss_sum: float
    loss_sumsq: float
    timeouts: float | None = None


def difference_counters(
    previous: Mapping[Series, CounterSample],
    current: Iterable[CounterSample],
    *,
    propensities: Mapping[int, float],
    first_revision: int,
) -> tuple[list[CounterIncrement], dict[Series, CounterSample]]:
    """The increments per revision, oldest revision first, and the samples to difference next time.

    Args:
        previous: last sample of each series.
        current: this scrape; series of revisions before ``first_revision`` belong to earlier
            canaries and are left out.
        propensities: probability of the candidate by revision.

    Raises:
        EvidenceError: naming the series; nothing was counted, ``previous`` stays the watermark.
    """
    found = collect(current, first_revision=first_revision)
    scrape = {key: one for key, one in found.items() if not _is_behind(one, previous.get(key))}
    latest = {**previous, **scrape}
    _check_size(latest)
    gained: dict[tuple[int, Arm], ArmSums] = {}
    for series, sample in scrape.items():
        key = (series.revision, series.arm)
        gained[key] = _add(gained.get(key, NOTHING), _gain(previous.get(series), sample))
    return _per_revision(gained, propensities), latest


def collect(
    samples: Iterable[CounterSample], *, first_revision: int
) -> dict[Series, CounterSample]:
    """The samples by series, in a fixed order, each one checked to be what a counter can hold."""
    collected: dict[Series, CounterSample] = {}
    for sample in sorted(samples, key=lambda one: one.series):
        if sample.series.revision < first_revision:
            continue
        if sample.series in collected:
            raise _refuse(EvidenceReason.SERIES_DUPLICATE, sample.series, "is there twice")
        _check_sample(sample)
        collected[sample.series] = sample
    _check_size(collected)
    return collected


def _gain(before: CounterSample | None, now: CounterSample) -> ArmSums:
    """What one series gained, checked to be sums that losses in [0, 1] can have."""
    if before is None:
        before = CounterSample(
            series=now.series, count=0.0, loss_sum=0.0, loss_sumsq=0.0, timeouts=0.0
        )
    timeouts = None
    if now.timeouts is not None and before.timeouts is not None:
        timeouts = now.timeouts - before.timeouts
    return _as_sums(
        now,
        n=now.count - before.count,
        s=now.loss_sum - before.loss_sum,
        q=now.loss_sumsq - before.loss_sumsq,
        timeouts=timeouts,
    )


def _is_behind(now: CounterSample, before: CounterSample | None) -> bool:
    """An earlier state of the series; counters of which only some dropped are refused instead."""
    if before is None or now.count >= before.count:
        return False
    return now.loss_sum <= before.loss_sum and now.loss_sumsq <= before.loss_sumsq


def _check_sample(sample: CounterSample) -> None:
    values = {"count": sample.count, "sum": sample.loss_sum, "sum of squares": sample.loss_sumsq}
    if sample.timeouts is not None:
        values["timeouts"] = sample.timeouts
    for name, value in values.items():
        if not isfinite(value):
            raise _refuse(EvidenceReason.COUNTER_NOT_FINITE, sample.series, f"{name} is {value}")
        if value < 0.0:
            raise _refuse(EvidenceReason.COUNTER_NEGATIVE, sample.series, f"{name} is {value}")
    name = sample.series.instance
    if len(name) > MAX_INSTANCE_LENGTH or not (name.isascii() and name.isprintable()):
        raise _refuse(
            EvidenceReason.INSTANCE_INVALID,
            sample.series,
            f"instance is not at most {MAX_INSTANCE_LENGTH} printable ASCII characters",
        )


def _as_sums(
    sample: CounterSample, *, n: float, s: float, q: float, timeouts: float | None
) -> ArmSums:
    slack = _SLACK * (1.0 + sample.count)
    if not possible_sums(n=n, s=s, q=q, slack=slack):
        raise _refuse(EvidenceReason.COUNTERS_INCONSISTENT, sample.series, impossible(n, s, q))
    if timeouts is not None and not (timeouts == int(timeouts) and 0 <= timeouts <= q + slack):
        what = f"{timeouts:g} of {n:g} runs timed out with a sum of squares of {q:g}"
        raise _refuse(EvidenceReason.COUNTERS_INCONSISTENT, sample.series, what)
    if not n:
        return NOTHING
    whole = None if timeouts is None else int(timeouts)
    return ArmSums(n=int(n), s=min(s, n), q=min(q, s), timeouts=whole)


def possible_sums(*, n: float, s: float, q: float, slack: float = _SLACK) -> bool:
    """Whether n losses in [0, 1] can have the sum s and the sum of squares q (NaN: no)."""
    whole = 0.0 <= n < float("inf") and n == int(n)
    ordered = -slack <= q <= s + slack and s <= n + slack
    return whole and ordered and s * s <= n * q + slack * (1.0 + n)


def impossible(n: float, s: float, q: float) -> str:
    """The words for sums that no losses have."""
    return f"count {n:g}, sum {s:g}, sum of squares {q:g} gained: no losses in [0, 1] have these"


def _add(left: ArmSums, right: ArmSums) -> ArmSums:
    known = left.timeouts is not None and right.timeouts is not None
    timeouts = (left.timeouts or 0) + (right.timeouts or 0) if known else None
    return ArmSums(n=left.n + right.n, s=left.s + right.s, q=left.q + right.q, timeouts=timeouts)


def _per_revision(
    gained: Mapping[tuple[int, Arm], ArmSums], propensities: Mapping[int, float]
) -> list[CounterIncrement]:
    increments = []
    for revision in sorted({revision for (revision, _), sums in gained.items() if sums.n}):
        if revision not in propensities:
            raise EvidenceError(
                reason=EvidenceReason.REVISION_UNKNOWN,
                detail=f"runs of revision {revision}, whose propensity is not known; "
                "a revision is recorded before its share is served",
            )
        increments.append(
            CounterIncrement(
                revision=revision,
                propensity=propensities[revision],
                candidate=gained.get((revision, Arm.CANDIDATE), NOTHING),
                control=gained.get((revision, Arm.CONTROL), NOTHING),
            )
        )
        check_increment(increments[-1])
    return increments


def check_increment(increment: CounterIncrement) -> None:
    """Refuse sums that no losses have, and a propensity that is missing, 0 or 1."""
    for arm, sums in (("candidate", increment.candidate), ("control", increment.control)):
        if not possible_sums(n=sums.n, s=sums.s, q=sums.q, slack=_SLACK * (1.0 + sums.n)):
            raise EvidenceError(
                reason=EvidenceReason.COUNTERS_INCONSISTENT,
                detail=f"{arm} of revision {increment.revision}: "
                f"{impossible(sums.n, sums.s, sums.q)}",
            )
    value = increment.propensity
    if MIN_PROPENSITY <= value <= 1.0 - MIN_PROPENSITY:
        return
    missing = value != value  # NaN
    raise EvidenceError(
        reason=EvidenceReason.PROPENSITY_MISSING
        if missing
        else EvidenceReason.PROPENSITY_OUT_OF_RANGE,
        detail=f"propensity {value} of revision {increment.revision} is not strictly between 0 "
        "and 1; runs drawn at 0 or 1 are no evidence and must not be counted",
    )


def _check_size(latest: Mapping[Series, CounterSample]) -> None:
    if len(latest) > MAX_SERIES:
        raise EvidenceError(
            reason=EvidenceReason.SERIES_TOO_MANY,
            detail=f"{len(latest)} counter series, at most {MAX_SERIES} are kept; "
            "run fewer api processes, or judge from the run log (source: RunLog)",
        )


def _refuse(reason: EvidenceReason, series: Series, what: str) -> EvidenceError:
    return EvidenceError(
        reason=reason,
        detail=f"series instance={series.instance[:80]!r} arm={series.arm.value} "
        f"epoch={series.revision}: {what}; nothing of this scrape was counted",
    )
