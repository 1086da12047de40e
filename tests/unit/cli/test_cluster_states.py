"""Where a rollout stands, who owns an object, and what a table looks like."""

import pytest

from learnops.cli.cluster.owners import owner, refuse_managed
from learnops.cli.cluster.session import CommandError
from learnops.cli.cluster.states import asked_for, is_ordered, last_of, live_of, state
from learnops.cli.cluster.tables import number, table
from learnops.cli.promote import _refuse_no_change, _told


def canary(name, *, stage=None, minute=0, candidates=("planner-v2",), doer="planner", **status):
    told = {**status, **({"stage": stage} if stage else {})}
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-11-20T10:{minute:02}:00Z",
        },
        "spec": {
            "doerRef": {"name": doer},
            "candidateRefs": [{"name": one} for one in candidates],
        },
        **({"status": told} if told else {}),
    }


def doer(*, wanted="planner-v1", handled="planner-v1", active="planner-v1", shares=(), **metadata):
    traffic = {"shares": [{"policy": name, "percent": percent} for name, percent in shares]}
    return {
        "kind": "Doer",
        "metadata": {"name": "planner", "namespace": "agents", **metadata},
        "spec": {"policyRef": {"name": wanted}},
        "status": {"handledPolicyRef": handled, "activePolicy": active, "traffic": traffic},
    }


def names(found):
    return [it["metadata"]["name"] for it in found]


def test_the_live_one_has_traffic_then_the_oldest_goes_first():
    found = [
        canary("young", minute=3),
        canary("over", stage="Promoted"),
        canary("old", stage="Pending", minute=2),
        canary("serving", stage="Canary", minute=4),
        canary("foreign", doer="coder"),
    ]
    assert names(live_of("planner", found)) == ["serving", "old", "young"]
    assert last_of("planner-v2", found)["metadata"]["name"] == "serving"
    assert last_of("planner-v9", found) is None


def test_the_rollout_that_policy_ref_asked_for_is_known_after_its_end():
    """A bad candidate may be rolled back before anybody has begun to watch."""
    found = [
        canary("first", stage="RolledBack"),
        canary("second", stage="RolledBack", minute=2),
        canary("foreign", stage="Promoted", minute=3, doer="coder"),
    ]
    asked = asked_for(doer(wanted="planner-v2", handled="planner-v2"), found)
    assert asked == found[1]
    assert asked_for(doer(wanted="planner-v2", handled="planner-v1"), found) is None
    assert asked_for(doer(), found) is None  # the first policy: nobody tried it


def test_an_order_that_is_not_carried_out_yet_is_known():
    retried = canary("c1", stage="RolledBack", handledActionID="a")
    assert not is_ordered(retried)
    retried["spec"]["action"] = {"type": "Retry", "id": "b"}
    assert is_ordered(retried)
    retried["status"]["handledActionID"] = "b"
    assert not is_ordered(retried)


def test_a_state_tells_shares_of_the_traffic_and_null_where_nothing_is_known():
    one = canary(
        "c1",
        stage="Canary",
        candidates=("planner-v2", "planner-v3"),
        recommendation="Continue",
        waitingFor="runs",
    )
    one["status"]["candidates"] = [{"name": "planner-v2", "runs": 7, "controlRuns": 9}]
    told = state(doer(shares=(("planner-v1", 90), ("planner-v2", 10))), one)
    assert (told["active"], told["stage"], told["verdict"]) == ("planner-v1", "Canary", "Continue")
    assert [(it["name"], it["percent"], it["runs"]) for it in told["candidates"]] == [
        ("planner-v2", 10, 7),
        ("planner-v3", 0, None),
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], None),
        ([{"type": "Ready", "status": "True", "reason": "Fine"}], None),
        ([{"type": "Ready", "status": "False", "reason": "No", "message": "apply v1"}], "apply v1"),
        (
            [{"type": "Stalled", "status": "True", "reason": "NoHistory", "message": ""}],
            "NoHistory",
        ),
    ],
)
def test_what_is_wrong_with_a_doer_is_told_where_no_rollout_is(conditions, expected):
    one = doer()
    one["status"]["conditions"] = conditions
    assert state(one, None)["waitingFor"] == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        (
            {
                "labels": {
                    "helm.toolkit.fluxcd.io/name": "a",
                    "helm.toolkit.fluxcd.io/namespace": "b",
                }
            },
            "Flux HelmRelease b/a",
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:learnops.dev/Doer:agents/p"}},
            "Argo CD application shop",
        ),
    ],
)
def test_who_applies_an_object(metadata, expected):
    one = doer(**metadata)
    assert owner(one) == expected
    if expected is None:
        refuse_managed(one, change="set x")
        return
    with pytest.raises(CommandError, match=f"applied by {expected}, .*: set x in git"):
        refuse_managed(one, change="set x")


@pytest.mark.parametrize(
    ("handled", "canaries", "expected"),
    [
        (
            "planner-v2",
            [canary("c1", stage="Canary", waitingFor="43 more runs")],
            "c1 of planner-v2 is under way, and only its evidence promotes. It waits for 43 more",
        ),
        ("planner-v1", [], "the operator has not acted on it yet"),
        ("planner-v2", [], "`learnops canary start planner --candidate planner-v2`"),
        (
            "planner-v2",
            [canary("c1", stage="Inconclusive"), canary("c2", stage="Aborted", minute=5)],
            "c2 ended Aborted: `learnops canary retry c2` tries it again",
        ),
    ],
)
def test_a_policy_ref_that_stands_already_starts_nothing(handled, canaries, expected):
    one = doer(wanted="planner-v2", handled=handled)
    with pytest.raises(CommandError) as refused:
        _refuse_no_change(one, "planner-v2", canaries)
    assert expected in str(refused.value)
    _refuse_no_change(one, "planner-v3", canaries)


def test_a_table_has_dashes_for_what_is_not_known():
    assert table(("A", "LONG"), [("x", None), ("longer", 0)]) == (
        "A        LONG\nx        -\nlonger   0"
    )
    assert (number(None), number("0.12345"), number(1234.5, places=1)) == ("-", "0.123", "1,234.5")


@pytest.mark.parametrize("stage", ["Promoted", "RolledBack", "Error"])
def test_an_ended_rollout_does_not_wait_for_what_its_doer_waits_for(stage):
    troubled = doer()
    trouble = {"type": "Ready", "status": "False", "reason": "No", "message": "apply v3"}
    troubled["status"]["conditions"] = [trouble]
    assert state(troubled, canary("c1", stage="Canary"))["waitingFor"] == "apply v3"
    assert state(troubled, canary("c1", stage=stage))["waitingFor"] is None
    own = canary("c1", stage=stage, conditions=[{**trouble, "message": "no such policy"}])
    assert state(troubled, own)["waitingFor"] == "no such policy"


@pytest.mark.parametrize(
    ("canaries", "end"),
    [
        ([], ""),
        ([canary("c1", stage="RolledBack", candidates=("planner-v3",))], ""),
        ([canary("c1", stage="Canary", candidates=("planner-v4",))], ""),
        (
            [canary("c1", stage="Canary", candidates=("planner-v3",))],
            ": the rollout of planner-v3 ends",
        ),
    ],
)
def test_promote_tells_the_end_of_a_rollout_only_where_one_is_live(canaries, end):
    found = doer(wanted="planner-v3", active="planner-v2")
    assert _told(found, "planner-v2", canaries, dry_run=False) == (
        f"doer planner turned from planner-v3 to planner-v2, which is active already{end}"
    )
