"""Who wins, and what the record makes of a race."""

from dataclasses import replace

import pytest

from learnops.api.canary import Verdict
from learnops.api.policy import Stage
from learnops.domain.observed import DifferenceReading, History, Promotion
from learnops.domain.planner.audit import sound_rows
from learnops.domain.planner.live import Live
from learnops.domain.planner.race import best
from tests.simulation.evidence import BETTER, guardrail
from tests.simulation.play import in_order
from tests.simulation.stories import races


def proved(name, *, at, high, estimate=-0.1, rail_at=None):
    """A candidate whose promotion was decided at a run."""
    reading = replace(
        BETTER,
        promote=replace(BETTER.promote, crossed_at=at),
        difference=DifferenceReading(estimate=estimate, low=-0.5, high=high),
    )
    if rail_at is not None:
        rail = guardrail(promote=21.0)
        late = replace(rail, promote=replace(rail.promote, crossed_at=rail_at))
        reading = replace(reading, guardrails=(late,))
    return Live(draft=None, canary=None, candidate=name, evidence=reading)


@pytest.mark.parametrize(
    ("others", "winner"),
    [
        ([proved("v3", at=110, high=-0.2)], "v2"),
        ([proved("v3", at=90, high=0.0)], "v3"),
        ([proved("v3", at=100, high=-0.03)], "v3"),
        ([proved("v3", at=100, high=-0.01)], "v2"),
        ([proved("v3", at=100, high=-0.02, estimate=-0.2)], "v3"),
        ([proved("v3", at=90, high=-0.3, rail_at=200)], "v2"),
        ([proved("v3", at=100, high=-0.02)], "v2"),
    ],
    ids=["later", "earlier", "bound", "weaker", "estimate", "guardrail", "order"],
)
def test_the_earliest_block_wins_and_within_it_the_lowest_bound(others, winner):
    found = [proved("v2", at=100, high=-0.02), *others]
    assert best(found).candidate == winner


def move(policy, from_stage, to_stage):
    return Promotion(
        transition_id=f"c.0/{to_stage}/{policy}",
        policy=policy,
        digest=policy,
        identity=policy,
        from_stage=from_stage,
        to_stage=to_stage,
        by="operator",
        why="",
        rollout="c.0",
    )


STARTED = (move("v2", Stage.DRAFT, Stage.CANARY), move("v3", Stage.DRAFT, Stage.CANARY))
V3_UP = (move("v3", Stage.CANARY, Stage.ACTIVE), move("v1", Stage.ACTIVE, Stage.ARCHIVED))
V2_UP = (move("v2", Stage.CANARY, Stage.ACTIVE),)
V2_OUT = move("v2", Stage.CANARY, Stage.REJECTED)
BOTH_BACK = (move("v2", Stage.CANARY, Stage.DRAFT), move("v3", Stage.CANARY, Stage.DRAFT))


def test_a_loser_does_not_take_the_winner_s_promotion_off_the_record():
    rows = (*STARTED, V2_OUT, *V3_UP)
    assert sound_rows(History(promotions=rows)) == rows


def test_a_promotion_that_came_to_nothing_is_not_on_it():
    rows = (*STARTED, *V3_UP, *BOTH_BACK)
    assert sound_rows(History(promotions=rows)) == (*STARTED, *BOTH_BACK)


def test_of_two_recorded_promotions_the_one_that_was_made_is_on_it():
    rows = (*STARTED, *V2_UP, *V3_UP, BOTH_BACK[0])
    assert sound_rows(History(promotions=rows)) == (*STARTED, *V3_UP, BOTH_BACK[0])


@pytest.mark.parametrize(
    "story", ["two-candidates-one-dropped-one-promoted", "two-candidates-killed-while-dropping"]
)
def test_a_drop_is_told_once_in_the_history_whatever_was_interrupted(story):
    status = in_order(races.STORIES[story]).store.get("CanaryDeployment", "try-both").status
    drops = [it for it in status.history if it.reason == "Worse"]
    assert [(it.percent, it.message.split()[0]) for it in drops] == [(0, "v2")]
    assert [it.verdict for it in status.candidates] == [Verdict.ROLLBACK, Verdict.PROMOTE]
