"""Sessions and tenants as units, over real HTTP."""

import psycopg
import pytest

from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.integration.server.test_assignments import assign, see_revision
from tests.live_doer import LiveDoer


def draw_for(api: Api, world: LiveDoer, **assignment: object) -> None:
    """The canary began with such a unit; returns once the api knows."""
    with psycopg.connect(world.database) as connection:
        connection.execute(
            "UPDATE shadow_deployments SET unit = %s, epoch_seconds = %s",
            (assignment["unit"], assignment.get("epochSeconds")),
        )
    world.status("doers", "planner", {"traffic": {"revision": 3, "assignment": assignment}})
    path = f"/v1/snapshot?namespace={world.namespace}&doer=planner"
    wait_until(
        lambda: api.get(path).body.get("assignment") == assignment,
        what="the unit in the snapshot",
        deadline_seconds=30,
    )


def route(api: Api, world: LiveDoer, run_id: str, unit_id: str) -> Json:
    """What `GET /v1/route` tells, without the policy's content."""
    query = f"namespace={world.namespace}&doer=planner&runId={run_id}&unitId={unit_id}"
    told: Json = api.get(f"/v1/route?{query}").body
    del told["content"]
    return told


def test_each_run_of_a_session_is_registered_with_the_draw_of_the_first(
    api: Api, world: LiveDoer
) -> None:
    draw_for(api, world, unit="Session")
    (first,) = assign(api, world, {"runId": "a", "unitId": "s"})
    assert first["registered"] is True
    world.traffic(revision=4, percent=25)
    see_revision(api, world, 4)
    assert assign(api, world, {"runId": "x", "unitId": "x"})[0]["propensity"] == 0.25
    assert route(api, world, "b", "s") == first | {"runId": "b"}
    assert assign(api, world, {"runId": "a", "unitId": "s"}) == [first]


@pytest.mark.parametrize(
    "assignment", [{"unit": "Session"}, {"unit": "TenantEpoch", "epochSeconds": 60}]
)
def test_a_run_that_does_not_name_its_unit_is_no_evidence(
    api: Api, world: LiveDoer, assignment: dict[str, object]
) -> None:
    draw_for(api, world, **assignment)
    told = assign(api, world, *({"runId": f"r-{number}"} for number in range(20)))
    assert {(one["arm"], one["propensity"], one["registered"]) for one in told} == {
        ("control", 0.0, False)
    }
    with psycopg.connect(world.database) as connection:
        assert connection.execute("SELECT count(*) FROM deployment_routings").fetchone() == (0,)


def test_a_tenant_s_unit_carries_the_number_of_its_epoch(api: Api, world: LiveDoer) -> None:
    draw_for(api, world, unit="TenantEpoch", epochSeconds=604_800)
    told = assign(api, world, *({"runId": run, "unitId": "acme"} for run in "abc"))
    assert len({(one["arm"], one["registered"]) for one in told}) == 1
    with psycopg.connect(world.database) as connection:
        (row,) = connection.execute(
            "SELECT unit_id, floor(extract(epoch FROM now()) / 604800)::bigint,"
            " window_ends_at > now(), (SELECT count(*) FROM unit_runs) FROM deployment_routings"
        ).fetchall()
    assert row == (f"{row[1]}/acme", row[1], True, 3)
