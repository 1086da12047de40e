"""What the planner puts on record of a rollout, beside what its golden logs show."""

import pytest

from learnops.api.policy import Stage
from tests.simulation.play import in_order
from tests.simulation.stories.every import STORIES


def test_the_thresholds_that_would_take_it_down() -> None:
    world = in_order(STORIES["guardrail-broken"])
    (opened,) = world.log.rollouts.values()
    assert opened.safety_thresholds["rollback"]["level"] == "0.05"
    assert [it["term"] for it in opened.safety_thresholds["guardrails"]] == ["grounding"]


@pytest.mark.parametrize(
    ("story", "reason", "begins"),
    [
        ("rolled-back", "Worse", "v2 is worse: "),
        # The daily rollup counts a guardrail's hits by these.
        ("guardrail-broken", "Worse", "v2 is worse in grounding "),
        ("guardrail-breached", "GuardrailBreached", "v2 breached guardrail "),
        ("query-breached-three-times", "GuardrailBreached", "v2 breached guardrail "),
        ("query-breached-without-run-log", "GuardrailBreached", "v2 breached guardrail "),
        ("ended-as-futile", "Futile", "v2 is not better by "),
    ],
)
def test_why_a_candidate_was_rejected_in_one_word(story: str, reason: str, begins: str) -> None:
    rows = in_order(STORIES[story]).log.rows.values()
    (rejected,) = [row for row in rows if row.to_stage is Stage.REJECTED]
    assert rejected.reason == reason
    assert rejected.why.startswith(begins)


def test_moves_up_have_no_reason() -> None:
    rows = in_order(STORIES["promoted"]).log.rows.values()
    assert {row.reason for row in rows if row.to_stage is Stage.ACTIVE} == {""}
