"""From the answer of Prometheus' query API to counter samples, or to the reason why not."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from learnops.domain.assignment import Arm
from learnops.domain.outcome import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError

log = logging.getLogger(__name__)

RUNS = "learnops_evidence_runs_total"
LOSS_SUM = "learnops_evidence_loss_sum_total"
LOSS_SUMSQ = "learnops_evidence_loss_sumsq_total"
FIGURES = (RUNS, LOSS_SUM, LOSS_SUMSQ)
TIMESTAMP_OF = "learnops_timestamp_of"
"""Label of the series that carry a timestamp instead of a value; it names the metric."""

_ARMS = frozenset(arm.value for arm in Arm)
_MAX_TOLD = 200  # characters of somebody else's text in a message


@dataclass(frozen=True, slots=True)
class _Group:
    """What tells one process's counters of one arm and epoch from another's.

    Not the label `instance`: one process under two of them would be counted twice, and two behind
    one address would look like one that restarts all the time.
    """

    process: str
    namespace: str
    doer: str
    policy: str
    arm: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    figure: str
    is_timestamp: bool
    value: float
    asked_at: float
    labels: frozenset[tuple[str, str]]  # those that are the same for all figures of a group


def read_answer(status: int, body: bytes) -> list[CounterSample]:
    """One sample per process, doer, policy, arm and epoch.

    A group that is NaN, infinite, there twice, incomplete or from two scrapes does not spoil what
    was read of other doers: its sample carries `problem`, and NaN for each figure.

    Raises:
        MetricsUnavailableError: the answer as a whole cannot be trusted, or holds nothing.
    """
    groups: dict[_Group, list[_Series]] = defaultdict(list)
    foreign = 0
    for entry in _vector(_data(status, body)):
        group, series = _series(entry)
        if group is None:
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
    return [_sample(group, series) for group, series in groups.items()]


def _data(status: int, body: bytes) -> Mapping[str, Any]:
    """The `data` of a successful, complete answer."""
    if status >= 500 or status == 429:
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_UNAVAILABLE, f"Prometheus answered {status}"
        )
    answer = _parse(status, body)
    if answer.get("status") != "success" or status != 200:
        told = f"{answer.get('errorType', 'error')}: {answer.get('error', '')}"
        raise _bad(f"Prometheus answered {status}, {told:.{_MAX_TOLD}}")
    # Thanos and Mimir warn of what they could not reach, VictoriaMetrics has a flag for it.
    if answer.get("warnings") or answer.get("isPartial"):
        raise MetricsUnavailableError(
            ErrorReason.PROMETHEUS_PARTIAL,
            f"Prometheus' answer is not whole: {answer.get('warnings')!s:.{_MAX_TOLD}}",
        )
    data = answer.get("data")
    if not isinstance(data, dict):
        raise _bad("Prometheus' answer has no data")
    return data


def _parse(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        kind = "HTML" if body.lstrip()[:1] == b"<" else "no JSON"
        raise _bad(
            f"Prometheus' answer ({status}) is {kind}; is the URL that of Prometheus' API, "
            "and does it need credentials?"
        ) from None
    if not isinstance(answer, dict):
        raise _bad("Prometheus' answer is no JSON object")
    return answer


def _vector(data: Mapping[str, Any]) -> list[Any]:
    result = data.get("result")
    if data.get("resultType") != "vector" or not isinstance(result, list):
        raise _bad(f"Prometheus answered with a {data.get('resultType')!s:.40}, not a vector")
    return result


def _series(entry: Any) -> tuple[_Group | None, _Series]:
    """One element of the vector; no group where the labels are not those of an arm."""
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
        raise _bad(f"Prometheus' answer holds no sample where one should be: {error!r:.80}") from (
            error
        )
    return _group(labels), series


def _group(labels: Mapping[str, str]) -> _Group | None:
    # Where the scrape has a label of this name of its own, Prometheus renames the exporter's.
    namespace, process = (
        labels.get(f"exported_{name}", labels.get(name)) for name in ("namespace", "process")
    )
    epoch, arm = labels.get("epoch", ""), labels.get("arm", "")
    if not namespace or not process or not epoch.isdecimal() or arm not in _ARMS:
        return None
    doer, policy = labels.get("doer", ""), labels.get("policy", "")
    return _Group(process, namespace, doer, policy, arm, int(epoch))


def _sample(group: _Group, series: list[_Series]) -> CounterSample:
    problem = _problem(series)
    values = {one.figure: one.value for one in series if not one.is_timestamp}
    ages = [one.asked_at - one.value for one in series if one.is_timestamp]
    return CounterSample(
        process=group.process,
        namespace=group.namespace,
        doer=group.doer,
        policy=group.policy,
        arm=group.arm,
        epoch=group.epoch,
        runs=nan if problem else values[RUNS],
        loss_sum=nan if problem else values[LOSS_SUM],
        loss_sumsq=nan if problem else values[LOSS_SUMSQ],
        age_seconds=max(ages, default=nan),
        problem=problem,
    )


def _problem(series: Iterable[_Series]) -> ErrorReason | None:
    """Why the figures of one group cannot be used together; None: they can."""
    values = [one for one in series if not one.is_timestamp]
    scrapes = [one for one in series if one.is_timestamp]
    if len({one.labels for one in values}) > 1 or len(values) > len(FIGURES):
        return ErrorReason.AMBIGUOUS_SERIES
    if {one.figure for one in values} != set(FIGURES) or len(scrapes) != len(FIGURES):
        return ErrorReason.INCONSISTENT
    if not all(isfinite(one.value) for one in (*values, *scrapes)):
        return ErrorReason.NOT_A_NUMBER
    if len({one.value for one in scrapes}) > 1:
        return ErrorReason.INCONSISTENT
    return None


def _bad(message: str) -> MetricsUnavailableError:
    return MetricsUnavailableError(ErrorReason.PROMETHEUS_BAD_ANSWER, message)
