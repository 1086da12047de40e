"""From the answer of Prometheus' query API to counter samples, or to the reason why not."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from learnops.adapters.prometheus_lag import LagSeries, Prefix, worst_lags
from learnops.domain.assignment import Arm
from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError

log = logging.getLogger(__name__)

RUNS = "learnops_evidence_runs_total"
LOSS_SUM = "learnops_evidence_loss_sum_total"
LOSS_SUMSQ = "learnops_evidence_loss_sumsq_total"
TIMEOUTS = "learnops_evidence_timeouts_total"
PREFIX_LAG = "learnops_evidence_prefix_lag_seconds"
ALL_FIGURES = (RUNS, LOSS_SUM, LOSS_SUMSQ, TIMEOUTS, PREFIX_LAG)
_NEEDED = frozenset((RUNS, LOSS_SUM, LOSS_SUMSQ))
_COUNTED = _NEEDED | {TIMEOUTS}
TIMESTAMP_OF = "learnops_timestamp_of"
"""Label of the series that carry a timestamp instead of a value; it names the metric."""

_ARMS = frozenset(arm.value for arm in Arm)
_MAX_TOLD = 200  # characters of somebody else's text in a message


@dataclass(frozen=True, slots=True)
class _Group:
    """What tells one process's counters of one arm and revision from another's.

    Not the label `instance`: one process under two of them would be counted twice, and two behind
    one address would look like one that restarts all the time.
    """

    process: str
    namespace: str
    doer: str
    policy: str
    arm: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    figure: str
    is_timestamp: bool
    value: float
    asked_at: float
    labels: frozenset[tuple[str, str]]  # those that are the same for all figures of a group


def read_answer(status: int, body: bytes) -> list[CounterSample]:
    """One sample per process, doer, policy, arm and revision.

    A group that is NaN, infinite, there twice, incomplete or from two scrapes does not spoil what
    was read of other doers: its sample carries `problem`, and NaN for each figure.

    Raises:
        MetricsUnavailableError: the answer as a whole cannot be trusted, or holds nothing.
    """
    groups: dict[_Group, list[_Series]] = defaultdict(list)
    lags: dict[Prefix, list[LagSeries]] = defaultdict(list)
    foreign = 0
    for entry in vector_of(status, body):
        labels, series = _series(entry)
        group, prefix = _group(labels), _prefix(labels)
        if series.figure == PREFIX_LAG and prefix is not None:
            lags[prefix].append((series.is_timestamp, series.value, series.asked_at))
        elif group is None:
            foreign += 1
        else:
            groups[group].append(series)
    if foreign:
        log.warning("evidence series without the labels of an arm", extra={"series": foreign})
    if not groups:
        raise MetricsUnavailableError(
            ErrorReason.NO_DATA,
            "Prometheus has no learnops_evidence_* series; does it scrape the api's /metrics?",
        )
    counting = {(one.process, one.namespace, one.doer) for one in groups}
    worst = worst_lags(lags, counting=counting)
    return [
        _sample(group, series, lag=worst.get((group.namespace, group.doer)))
        for group, series in groups.items()
    ]


def _data(status: int, body: bytes) -> Mapping[str, Any]:
    """The `data` of a successful, complete answer."""
    if status >= 500 or status == 429:
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_UNAVAILABLE, f"Prometheus answered {status}"
        )
    answer = _parse(status, body)
    if answer.get("status") != "success" or status != 200:
        told = f"{answer.get('errorType', 'error')}: {answer.get('error', '')}"
        raise bad_answer(f"Prometheus answered {status}, {told:.{_MAX_TOLD}}")
    # Thanos and Mimir warn of what they could not reach, VictoriaMetrics has a flag for it.
    if answer.get("warnings") or answer.get("isPartial"):
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_PARTIAL,
            f"Prometheus' answer is not whole: {answer.get('warnings')!s:.{_MAX_TOLD}}",
        )
    data = answer.get("data")
    if not isinstance(data, dict):
        raise bad_answer("Prometheus' answer has no data")
    return data


def _parse(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        kind = "HTML" if body.lstrip()[:1] == b"<" else "no JSON"
        raise bad_answer(
            f"Prometheus' answer ({status}) is {kind}; is the URL that of Prometheus' API, "
            "and does it need credentials?"
        ) from None
    if not isinstance(answer, dict):
        raise bad_answer("Prometheus' answer is no JSON object")
    return answer


def vector_of(status: int, body: bytes) -> list[Any]:
    """The elements of a successful, complete answer; raises MetricsUnavailableError."""
    data = _data(status, body)
    result = data.get("result")
    if data.get("resultType") != "vector" or not isinstance(result, list):
        raise bad_answer(f"Prometheus answered with a {data.get('resultType')!s:.40}, not a vector")
    return result


def _series(entry: Any) -> tuple[dict[str, str], _Series]:
    """One element of the vector, and its labels."""
    try:
        labels = {str(name): str(value) for name, value in entry["metric"].items()}
        asked_at, text = entry["value"]
        value = float(text)
        series = _Series(
            figure=labels.get(TIMESTAMP_OF) or labels.get("__name__", ""),
            is_timestamp=TIMESTAMP_OF in labels,
            value=value,
            asked_at=float(asked_at),
            labels=frozenset(
                pair for pair in labels.items() if pair[0] not in ("__name__", TIMESTAMP_OF)
            ),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise bad_answer(
            f"Prometheus' answer holds no sample where one should be: {error!r:.80}"
        ) from (error)
    return labels, series


def _prefix(labels: Mapping[str, str]) -> Prefix | None:
    # Where the scrape has a label of this name of its own, Prometheus renames the exporter's.
    namespace, process = (
        labels.get(f"exported_{name}", labels.get(name)) for name in ("namespace", "process")
    )
    if not namespace or not process:
        return None
    return process, namespace, labels.get("doer", "")


def _group(labels: Mapping[str, str]) -> _Group | None:
    """None where the labels are not those of an arm."""
    prefix = _prefix(labels)
    revision, arm = labels.get("epoch", ""), labels.get("arm", "")
    if prefix is None or not revision.isdecimal() or arm not in _ARMS:
        return None
    return _Group(*prefix, labels.get("policy", ""), arm, int(revision))


def _sample(group: _Group, series: list[_Series], *, lag: float | None) -> CounterSample:
    problem = _problem(series)
    values = {one.figure: one.value for one in series if not one.is_timestamp}
    ages = [one.asked_at - one.value for one in series if one.is_timestamp]
    return CounterSample(
        process=group.process,
        namespace=group.namespace,
        doer=group.doer,
        policy=group.policy,
        arm=group.arm,
        revision=group.revision,
        runs=nan if problem else values[RUNS],
        loss_sum=nan if problem else values[LOSS_SUM],
        loss_sumsq=nan if problem else values[LOSS_SUMSQ],
        age_seconds=max(ages, default=nan),
        problem=problem,
        timeouts=nan if problem else values.get(TIMEOUTS),
        prefix_lag_seconds=lag,
    )


def _problem(series: Iterable[_Series]) -> ErrorReason | None:
    """Why the figures of one group cannot be used together; None: they can."""
    values = [one for one in series if not one.is_timestamp]
    scrapes = [one for one in series if one.is_timestamp]
    if len({one.labels for one in values}) > 1 or len(values) > len(_COUNTED):
        return ErrorReason.AMBIGUOUS_SERIES
    figures = {one.figure for one in values}
    if not _NEEDED <= figures <= _COUNTED or len(scrapes) != len(figures):
        return ErrorReason.INCONSISTENT
    if not all(isfinite(one.value) for one in (*values, *scrapes)):
        return ErrorReason.NOT_A_NUMBER
    if len({one.value for one in scrapes}) > 1:
        return ErrorReason.INCONSISTENT
    return None


def bad_answer(message: str) -> MetricsUnavailableError:
    """An answer that is none of Prometheus' own."""
    return MetricsUnavailableError(ErrorReason.PROMETHEUS_BAD_ANSWER, message)
