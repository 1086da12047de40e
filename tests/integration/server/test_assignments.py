"""Draw, registration, void and route over real HTTP."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from learnops.domain.assignment import draw
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import SALT, LiveDoer


def assign(api: Api, world: LiveDoer, *runs: dict[str, str]) -> list[dict[str, object]]:
    body = {"namespace": world.namespace, "doer": "planner", "runs": list(runs)}
    answer = api.post("/v1/assignments", body)
    assert answer.status == 200, answer.body
    assignments: list[dict[str, object]] = answer.body["assignments"]
    return assignments


def test_the_arm_is_the_keyed_hash_and_is_registered(api: Api, world: LiveDoer) -> None:
    runs = [f"run-{number}" for number in range(40)]
    told = assign(api, world, *({"runId": run} for run in runs))
    for run, assignment in zip(runs, told, strict=True):
        arm = draw(SALT, run, 50).value
        assert assignment == {
            "runId": run,
            "arm": arm,
            "policy": "planner-v2" if arm == "candidate" else "planner-v1",
            "propensity": 0.5,
            "rollout": SALT,
            "revision": 2,
            "registered": True,
        }
    with psycopg.connect(world.database) as connection:
        rows = connection.execute(
            "SELECT run_id, arm FROM deployment_routings ORDER BY seq"
        ).fetchall()
    assert rows == [(each["runId"], each["arm"]) for each in told]


def test_a_unit_keeps_arm_and_propensity_when_the_share_rises(api: Api, world: LiveDoer) -> None:
    (first,) = assign(api, world, {"runId": "a", "unitId": "session"})
    world.traffic(revision=3, percent=25)
    see_revision(api, world, 3)
    again, later = assign(
        api, world, {"runId": "a", "unitId": "session"}, {"runId": "b", "unitId": "session"}
    )
    assert again == first
    assert later == first | {"runId": "b", "registered": False}


def test_without_a_live_canary_nothing_is_written(api: Api, world: LiveDoer) -> None:
    world.traffic(revision=3, percent=0)
    see_revision(api, world, 3)
    (told,) = assign(api, world, {"runId": "a"})
    assert told == {
        "runId": "a",
        "arm": "control",
        "policy": "planner-v1",
        "propensity": 0.0,
        "rollout": None,
        "revision": 3,
        "registered": False,
    }
    with psycopg.connect(world.database) as connection:
        assert connection.execute("SELECT count(*) FROM deployment_routings").fetchone() == (0,)


def test_an_ended_rollout_gives_control_whatever_traffic_still_says(
    api: Api, world: LiveDoer
) -> None:
    world.close()
    told = assign(api, world, *({"runId": f"r-{number}"} for number in range(10)))
    assert {(each["arm"], each["propensity"], each["registered"]) for each in told} == {
        ("control", 0.0, False)
    }


def test_behind_a_gateway_a_run_counts_once_the_weights_have_settled(
    api: Api, world: LiveDoer
) -> None:
    world.behind_gateway(settle_seconds=30)
    # The revision is younger than that.
    early = assign(api, world, {"runId": "early", "policy": "planner-v2"})[0]
    assert (early["arm"], early["propensity"], early["registered"]) == ("candidate", 0.5, False)
    world.behind_gateway(settle_seconds=0)
    wait_until(
        lambda: assign(api, world, {"runId": "late", "policy": "planner-v2"})[0]["registered"],
        what="the setting to be seen",
        deadline_seconds=30,
    )
    other = assign(api, world, {"runId": "stray", "policy": "planner-v0"})[0]
    assert (other["arm"], other["policy"], other["registered"]) == ("control", "planner-v0", False)


def test_a_caller_that_chooses_its_policy_itself_is_no_evidence(api: Api, world: LiveDoer) -> None:
    # settleSeconds 0, so that nothing but the router stands in the way.
    patch = {"spec": {"traffic": {"settleSeconds": 0}}}
    world.kube.merge(f"{world.base}/doers/planner", patch)
    world.traffic(revision=3, percent=50)
    see_revision(api, world, 3)
    (told,) = assign(api, world, {"runId": "chosen", "policy": "planner-v2"})
    assert (told["arm"], told["policy"], told["registered"]) == ("candidate", "planner-v2", False)
    with psycopg.connect(world.database) as connection:
        assert connection.execute("SELECT count(*) FROM deployment_routings").fetchone() == (0,)


def test_void_and_route(api: Api, world: LiveDoer) -> None:
    query = f"namespace={world.namespace}&doer=planner&runId=a"
    routed = api.get(f"/v1/route?{query}").body
    assert routed["registered"] is True
    system = routed["content"]["prompts"]["variants"][0]["system"]
    assert system == f"Plan, version {routed['policy'][-1]}."
    body = {"namespace": world.namespace, "doer": "planner", "runIds": ["a", "never"]}
    assert api.post("/v1/assignments:void", body).body == {"voided": ["a"]}
    assert api.post("/v1/assignments:void", body).body == {"voided": []}


def test_concurrent_callers_get_gapless_numbers(api: Api, world: LiveDoer) -> None:
    def work(worker: int) -> None:
        for number in range(10):
            assign(api, world, {"runId": f"{worker}-{number}"}, {"runId": f"{worker}-{number}b"})

    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(work, range(16)))
    with psycopg.connect(world.database) as connection:
        rows = connection.execute("SELECT seq FROM deployment_routings ORDER BY seq").fetchall()
    assert [seq for (seq,) in rows] == list(range(1, 321))


def see_revision(api: Api, world: LiveDoer, revision: int) -> None:
    """Return once the api has; no run is drawn meanwhile, which would keep what it was given."""
    path = f"/v1/snapshot?namespace={world.namespace}&doer=planner"
    wait_until(
        lambda: api.get(path).body.get("revision") == revision,
        what=f"revision {revision} to be seen",
        deadline_seconds=30,
    )
