"""Shares and regions of several candidates."""

from itertools import pairwise

import pytest

from learnops.api.candidates import MOST_CANDIDATES
from learnops.domain.arms import candidates_of, most_percent, start_of, steps_of
from learnops.domain.planner.traffic import first, with_candidates
from tests.simulation.objects import canary

NAMES = [f"v{number}" for number in range(2, 2 + MOST_CANDIDATES)]


def canary_of(*names, steps=(5, 10, 25, 50)):
    return canary(
        "c1",
        candidate=names[0],
        candidateRefs=[{"name": name} for name in names],
        strategy={"canary": {"steps": list(steps)}},
    )


@pytest.mark.parametrize(
    ("candidates", "steps"),
    [
        (1, (5, 10, 25, 50)),
        (2, (5, 10, 25, 33)),
        (3, (5, 10, 25)),
        (4, (5, 10, 20)),
        (5, (5, 10, 16)),
    ],
)
def test_a_step_is_no_more_than_control_keeps(candidates, steps):
    assert steps_of(canary_of(*NAMES[:candidates])) == steps


@pytest.mark.parametrize("candidates", range(1, MOST_CANDIDATES + 1))
def test_regions_at_their_widest_do_not_meet_and_control_keeps_its_part(candidates):
    made = canary_of(*NAMES[:candidates])
    most = most_percent(candidates)
    traffic = with_candidates(
        first(active="v1", revision=1),
        made,
        salt="c1.0",
        percents=dict.fromkeys(candidates_of(made), most),
    )
    control, *others = traffic.shares
    assert control.policy == "v1"
    assert control.percent >= most
    assert sum(share.percent for share in traffic.shares) == 100
    regions = [(share.start or 0, (share.start or 0) + share.percent) for share in others]
    assert all(last <= start for (_, last), (start, _) in pairwise(regions))
    assert regions[-1][1] <= 100 - control.percent


def test_a_region_begins_where_it_did_whoever_else_is_left():
    made = canary_of("v2", "v3", "v4")
    traffic = first(active="v1", revision=1)
    both = with_candidates(traffic, made, salt="c1.0", percents={"v2": 5, "v4": 10})
    alone = with_candidates(both, made, salt="c1.0", percents={"v4": 10})
    assert start_of(made, "v4") == 50
    assert [(it.policy, it.percent, it.start) for it in both.shares] == [
        ("v1", 85, None),
        ("v2", 5, None),
        ("v4", 10, 50),
    ]
    assert [(it.policy, it.percent, it.start) for it in alone.shares] == [
        ("v1", 90, None),
        ("v4", 10, 50),
    ]
    assert alone.revision == both.revision + 1
