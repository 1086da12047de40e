"""The parts of a Counters state that are no plain numbers, as JSON and back."""

from collections.abc import Mapping
from typing import Any

from learnops.domain.assignment import Arm
from learnops.domain.evidence import codec
from learnops.domain.evidence.counter_fold import Folded
from learnops.domain.evidence.counter_series import CounterSample, Series, collect
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.sample_ratio import SampleRatioState


def rows(samples: Mapping[Series, CounterSample]) -> list[list[Any]]:
    """One list a series, in a fixed order."""
    return [_row(samples[series]) for series in sorted(samples)]


def read_folded(data: dict[str, Any]) -> Folded:
    """The marks of processes that are gone. Raises EvidenceError StateInvalid."""
    marks, gap = data.get("folded", []), data.get("gap", False)
    if not isinstance(marks, list) or not all(isinstance(it, str) for it in marks):
        raise codec.invalid("folded", "is not a list of marks")
    return Folded(marks=frozenset(marks), gap=gap is not False)


def read_ratio(data: dict[str, Any]) -> SampleRatioState:
    """Counts per probability. A state that has none is of a time before they were kept: the test
    begins with the runs that follow, and is as valid on these. Raises EvidenceError StateInvalid.
    """
    found = data.get("ratio")
    if found is None:
        return SampleRatioState()
    if not isinstance(found, dict):
        raise codec.invalid("ratio", "is no object")
    return SampleRatioState.from_dict(found)


def read_samples(data: dict[str, Any]) -> dict[Series, CounterSample]:
    """The last sample of each series. Raises EvidenceError StateInvalid."""
    try:
        rows = [_read_sample(*row) for row in data["samples"]]
    except (KeyError, TypeError, ValueError) as error:
        raise codec.invalid("samples", "is not a list of counter samples") from error
    try:
        return collect(rows, first_revision=0)
    except EvidenceError as error:
        raise codec.invalid("samples", f"is not possible ({error.detail})") from error


def _read_sample(
    revision: int,
    arm: str,
    instance: str,
    count: float,
    loss_sum: float,
    loss_sumsq: float,
    timeouts: float | None = None,
) -> CounterSample:
    return CounterSample(
        series=Series(int(revision), Arm(arm), str(instance)),
        count=float(count),
        loss_sum=float(loss_sum),
        loss_sumsq=float(loss_sumsq),
        timeouts=None if timeouts is None else float(timeouts),
    )


def _row(sample: CounterSample) -> list[Any]:
    series = sample.series
    values = [sample.count, sample.loss_sum, sample.loss_sumsq, sample.timeouts]
    return [series.revision, series.arm.value, series.instance, *values]
