"""What the planner puts on record of a rollout, beside what its golden logs show."""

import pytest

from learnops.api.policy import Stage
from tests.simulation.acts.mishaps import restore_log
from tests.simulation.play import in_order
from tests.simulation.stories.every import STORIES


def test_the_thresholds_that_would_take_it_down() -> None:
    world = in_order(STORIES["guardrail-broken"])
    (opened,) = world.log.rollouts.values()
    assert opened.safety_thresholds["rollback"]["level"] == "0.05"
    assert [it["term"] for it in opened.safety_thresholds["guardrails"]] == ["grounding"]


@pytest.mark.parametrize(
    ("story", "reason", "culprit", "begins"),
    [
        ("rolled-back", "Worse", "loss", "v2 is worse: "),
        ("rolled-back-without-run-log", "Worse", "loss", "v2 is worse: "),
        ("shadow-shows-harm", "WorseInShadow", "loss", "v2 is worse on the same input: "),
        ("guardrail-broken", "Worse", "grounding", "v2 is worse in grounding "),
        ("guardrail-breached", "GuardrailBreached", "grounding", "v2 breached guardrail "),
        ("query-breached-three-times", "GuardrailBreached", "p95", "v2 breached guardrail "),
        ("query-breached-without-run-log", "GuardrailBreached", "p95", "v2 breached guardrail "),
        ("two-candidates-query-breached", "GuardrailBreached", "p95", "v2 breached guardrail "),
        ("ended-as-futile", "Futile", "", "v2 is not better by "),
        ("killed-while-rolling-back", "Worse", "loss", "v2 is worse: "),
        ("restored-after-a-rejection", "", "loss", "on record again: "),
    ],
)
def test_why_a_candidate_was_rejected(story: str, reason: str, culprit: str, begins: str) -> None:
    rows = in_order(STORIES[story]).log.rows.values()
    (rejected,) = [row for row in rows if row.to_stage is Stage.REJECTED]
    assert (rejected.reason, rejected.culprit) == (reason, culprit)
    assert rejected.why.startswith(begins)


def test_moves_up_have_no_reason_and_no_culprit() -> None:
    rows = in_order(STORIES["promoted"]).log.rows.values()
    assert {(row.reason, row.culprit) for row in rows if row.to_stage is Stage.ACTIVE} == {("", "")}


@pytest.mark.parametrize(
    ("story", "reason", "culprit"),
    [
        ("guardrail-broken", "", "grounding"),
        ("guardrail-breached", "", "grounding"),
        ("query-breached-three-times", "", "p95"),
        ("rolled-back", "", "loss"),
        ("ended-as-futile", "Futile", ""),
    ],
)
def test_a_row_that_was_lost_tells_it_again(story: str, reason: str, culprit: str) -> None:
    """From the canary: without it a restored record would count another sort of rejection."""
    world = in_order([*STORIES[story], restore_log(rows=1, rollouts=0)])
    (rejected,) = [it for it in world.log.rows.values() if it.to_stage is Stage.REJECTED]
    assert rejected.why.startswith("on record again")
    assert (rejected.reason, rejected.culprit) == (reason, culprit)
