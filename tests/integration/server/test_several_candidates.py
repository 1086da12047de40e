"""Registration with several candidates: each region, the π of all, and one that was dropped."""

import psycopg

from learnops.domain.assignment import Region, choose
from learnops.server.models import SnapshotAnswer
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import SALT, LiveDoer

BOTH: list[Json] = [
    {"policy": "planner-v1", "percent": 45},
    {"policy": "planner-v2", "percent": 25},
    {"policy": "planner-v3", "percent": 30, "start": 33},
]
V3_ALONE: list[Json] = [{"policy": "planner-v1", "percent": 70}, BOTH[2]]
REGIONS = [
    Region(policy="planner-v2", percent=25),
    Region(policy="planner-v3", percent=30, start=33),
]
RUNS = [f"run-{number}" for number in range(60)]


def assign(api: Api, world: LiveDoer, *runs: dict[str, str]) -> list[Json]:
    body = {"namespace": world.namespace, "doer": "planner", "runs": list(runs)}
    answer = api.post("/v1/assignments", body)
    assert answer.status == 200, answer.body
    found: list[Json] = answer.body["assignments"]
    return found


def serve(api: Api, world: LiveDoer, shares: list[Json], *, revision: int) -> Json:
    """Change the traffic; the snapshot once the api has seen it."""
    traffic = {"revision": revision, "active": "planner-v1", "shares": shares}
    told = {**traffic, "salt": SALT, "canary": "planner-canary"}
    world.status("doers", "planner", {"traffic": told})
    path = f"/v1/snapshot?namespace={world.namespace}&doer=planner"

    def seen() -> Json | None:
        body: Json = api.get(path).body
        return body if body.get("revision") == revision else None

    return wait_until(seen, what=f"revision {revision} to be seen", deadline_seconds=30)


def test_each_run_gets_the_arm_of_its_region_and_keeps_the_propensity_of_all(
    api: Api, world: LiveDoer
) -> None:
    world.create_policy(3)
    snapshot = serve(api, world, BOTH, revision=3)
    assert snapshot["rollout"]["candidates"] == ["planner-v2", "planner-v3"]
    assert snapshot["rollout"]["percent"] == 55
    assert snapshot["shares"] == BOTH
    SnapshotAnswer.model_validate(snapshot)  # what the OpenAPI document says
    assert set(snapshot["policies"]) == {"planner-v1", "planner-v2", "planner-v3"}

    told = assign(api, world, *({"runId": run} for run in RUNS))
    expected = [choose(SALT, run, REGIONS) or "planner-v1" for run in RUNS]
    assert [it["policy"] for it in told] == expected
    assert set(expected) == {"planner-v1", "planner-v2", "planner-v3"}
    assert {it["propensity"] for it in told} == {0.55}
    for it in told:
        assert it["arm"] == ("control" if it["policy"] == "planner-v1" else "candidate")

    with psycopg.connect(world.database) as connection:
        rows = connection.execute(
            "SELECT policy, propensity, propensities FROM deployment_routings ORDER BY seq"
        ).fetchall()
    pi = {"planner-v1": 0.45, "planner-v2": 0.25, "planner-v3": 0.3}
    assert rows == [(policy, 0.55, pi) for policy in expected]


def test_whoever_had_a_dropped_candidate_gets_control_and_nobody_else_moves(
    api: Api, world: LiveDoer
) -> None:
    world.create_policy(3)
    serve(api, world, BOTH, revision=3)
    before = assign(api, world, *({"runId": run, "unitId": f"unit-{run}"} for run in RUNS))
    serve(api, world, V3_ALONE, revision=4)
    again = [{"runId": f"later-{run}", "unitId": f"unit-{run}"} for run in RUNS]
    after = assign(api, world, *again)
    for had, has in zip(before, after, strict=True):
        dropped = had["policy"] == "planner-v2"
        assert has["policy"] == ("planner-v1" if dropped else had["policy"])
        assert has["registered"] is False
    assert {it["policy"] for it in before} == {"planner-v1", "planner-v2", "planner-v3"}
    assert {it["propensity"] for it in after if it["rollout"] is None} == {0.0}

    fresh = assign(api, world, *({"runId": f"new-{run}"} for run in RUNS))
    assert {it["policy"] for it in fresh} == {"planner-v1", "planner-v3"}
    assert {it["propensity"] for it in fresh} == {0.3}
