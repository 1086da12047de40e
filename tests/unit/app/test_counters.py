"""Counters: whatever Prometheus says, no run is counted twice and nothing unknown becomes good."""

import json
from dataclasses import replace
from typing import Any

import pytest

from learnops.app.evidence.counters import CounterEvidence, CounterTick
from learnops.domain.observed import EvidenceReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.metrics import MetricsUnavailableError
from tests.unit.app.counters import Answers, answers, evidence, read, sample, state_after
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import canary, doer

__all__ = ["answers", "evidence"]  # fixtures


async def test_what_was_counted_once_is_not_counted_again(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 40, 0.75), sample("control", 400, 0.25)]
    first, stored = await state_after(evidence, of=canary())
    again, _ = await state_after(evidence, of=stored)
    assert first.runs == again.runs == 440
    assert again.rollback == first.rollback
    assert first.rollback.crossed_at is not None


async def test_a_status_write_that_was_lost_costs_nothing(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 10, 0.5), sample("control", 100, 0.5)]
    lost, _ = await state_after(evidence, of=canary())
    answers.samples = [sample("candidate", 20, 0.5), sample("control", 200, 0.5)]
    found, _ = await state_after(evidence, of=canary())
    assert lost.runs == 110
    assert found.runs == 220


async def test_a_restarted_api_is_another_process_and_all_it_counts_is_new(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 10, 0.5), sample("control", 100, 0.5)]
    _, stored = await state_after(evidence, of=canary())
    answers.samples = [sample("candidate", 11, 0.5, process="b2")]
    found, _ = await state_after(evidence, of=stored)
    assert found.runs == 121


async def test_two_of_a_series_tell_the_way_out(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 10, 0.5, problem=ErrorReason.AMBIGUOUS_SERIES)]
    found = await read(evidence, of=canary())
    assert isinstance(found, Unavailable)
    assert "let one job scrape the api, each replica once" in found.message


async def test_a_restart_goes_on_from_the_status(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 10, 0.5), sample("control", 100, 0.5)]
    _, stored = await state_after(evidence, of=canary())
    fresh = CounterEvidence(
        tick=CounterTick(metrics=answers, clock=FakeClock(), max_age_seconds=-1)
    )
    stepped = doer(revision=6, percent=50)
    answers.samples += [
        sample("candidate", 30, 0.5, revision=6),
        sample("control", 30, 0.5, revision=6),
    ]
    kept, _ = await state_after(evidence, of=stored, served=stepped)
    found, _ = await state_after(fresh, of=stored, served=stepped)
    assert found == kept
    assert found.runs == 170
    assert json.loads(found.state)["propensities"] == {"5": 0.1, "6": 0.5}


async def test_a_share_served_while_prometheus_was_away_is_known_later(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.error = MetricsUnavailableError(ErrorReason.PROMETHEUS_UNAVAILABLE, "refused")
    away = await read(evidence, of=canary())
    assert away == Unavailable(reason=ErrorReason.PROMETHEUS_UNAVAILABLE, message="refused")
    answers.error = None
    answers.samples = [
        sample("candidate", 10, 0.5),
        sample("control", 90, 0.5),
        sample("candidate", 10, 0.5, revision=6),
        sample("control", 10, 0.5, revision=6),
    ]
    found = await read(evidence, of=canary(), served=doer(revision=6, percent=50))
    assert isinstance(found, EvidenceReading)
    assert found.runs == 120


async def test_runs_of_a_revision_whose_share_is_not_known_are_no_evidence(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 10, 0.9, revision=4), sample("control", 10, 0.1)]
    found = await read(evidence, of=canary())
    assert isinstance(found, EvidenceReading)
    assert (found.candidate_runs, found.control_runs) == (0, 10)


async def test_others_counters_are_not_ours(evidence: CounterEvidence, answers: Answers) -> None:
    ours = sample("control", 10, 0.1)
    answers.samples = [
        ours,
        replace(ours, doer="coder", runs=1000.0),
        replace(ours, namespace="elsewhere", runs=1000.0),
    ]
    found = await read(evidence, of=canary())
    assert isinstance(found, EvidenceReading)
    assert found.runs == 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age_seconds": 61.0}, ErrorReason.STALE),
        ({"age_seconds": float("nan")}, ErrorReason.STALE),
        ({"runs": float("nan")}, ErrorReason.NOT_A_NUMBER),
        ({"loss_sum": 11.0}, ErrorReason.INCONSISTENT),
        ({"problem": ErrorReason.PROMETHEUS_PARTIAL}, ErrorReason.PROMETHEUS_PARTIAL),
    ],
)
async def test_what_cannot_be_trusted_has_a_reason_and_no_numbers(
    evidence: CounterEvidence, answers: Answers, change: dict[str, Any], reason: ErrorReason
) -> None:
    answers.samples = [sample("candidate", 10, 0.5, **change)]
    found = await read(evidence, of=canary())
    assert isinstance(found, Unavailable)
    assert found.reason is reason


async def test_no_data_and_two_of_the_same_series_are_named(
    evidence: CounterEvidence, answers: Answers
) -> None:
    nothing = await read(evidence, of=canary())
    answers.samples = [sample("candidate", 10, 0.5), sample("candidate", 11, 0.5)]
    twice = await read(evidence, of=canary())
    assert isinstance(nothing, Unavailable)
    assert isinstance(twice, Unavailable)
    assert nothing.reason is ErrorReason.NO_DATA
    assert twice.reason is ErrorReason.AMBIGUOUS_SERIES


@pytest.mark.parametrize("state", ["not json", "[]", '{"propensities": 3}'])
async def test_after_a_state_that_cannot_be_read_nothing_is_counted_a_second_time(
    evidence: CounterEvidence, answers: Answers, state: str
) -> None:
    answers.samples = [sample("candidate", 40, 0.75), sample("control", 400, 0.25)]
    first, stored = await state_after(evidence, of=canary(state=state))
    answers.samples = [sample("candidate", 41, 0.75), sample("control", 402, 0.25)]
    later, _ = await state_after(evidence, of=stored)
    assert (first.runs, later.runs) == (0, 3)


async def test_a_state_of_another_engine_counts_only_what_comes_from_now_on(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 40, 0.75), sample("control", 400, 0.25)]
    foreign = canary(state='{"engine": {"version": 99}, "propensities": {"5": 0.1}}')
    first, stored = await state_after(evidence, of=foreign)
    answers.samples = [sample("candidate", 41, 0.75), sample("control", 402, 0.25)]
    later, _ = await state_after(evidence, of=stored)
    assert first.runs == 0
    assert later.runs == 3


@pytest.mark.parametrize(("lag", "current"), [(60.0, True), (60.1, False), (None, False)])
async def test_the_prefix_is_current_only_where_the_api_says_so(
    evidence: CounterEvidence, answers: Answers, lag: float | None, current: bool
) -> None:
    answers.samples = [
        sample("candidate", 40, 0.25, prefix_lag_seconds=lag),
        sample("control", 400, 0.75, prefix_lag_seconds=lag),
    ]
    found, _ = await state_after(evidence, of=canary())
    assert found.promote.crossed_at is not None
    assert found.prefix_current is current


async def test_the_split_is_told_and_goes_on_from_the_status(
    evidence: CounterEvidence, answers: Answers
) -> None:
    answers.samples = [sample("candidate", 40, 0.25), sample("control", 360, 0.25)]
    as_planned, stored = await state_after(evidence, of=canary())
    assert as_planned.sample_ratio is not None
    assert not as_planned.sample_ratio.alarm
    answers.samples = [sample("candidate", 240, 0.25), sample("control", 360, 0.25)]
    skewed, _ = await state_after(evidence, of=stored)
    assert skewed.sample_ratio is not None
    assert skewed.sample_ratio.alarm
    assert skewed.sample_ratio.expected_share == 0.1
    assert skewed.sample_ratio.observed_share == 0.4


@pytest.mark.parametrize(("timeouts", "fraction"), [(40.0, 0.1), (None, None)])
async def test_controls_timeouts_are_told(
    evidence: CounterEvidence,
    answers: Answers,
    timeouts: float | None,
    fraction: float | None,
) -> None:
    answers.samples = [
        sample("candidate", 40, 0.9),
        sample("control", 400, 0.4, timeouts=timeouts),
    ]
    found, stored = await state_after(evidence, of=canary())
    assert found.control_timeout_fraction == fraction
    answers.samples = [sample("candidate", 40, 0.9)]  # the restarted api has not counted yet
    later, _ = await state_after(evidence, of=stored)
    assert later.control_timeout_fraction == fraction
