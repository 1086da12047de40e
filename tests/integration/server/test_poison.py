"""A run that Postgres refuses, whatever it was that no check knew, is refused alone."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.server.conftest import Api
from tests.live_doer import LiveDoer

# As a limit of the database would that nobody thought of.
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'no poison' USING ERRCODE = 'check_violation', DETAIL = 'of ada@example.org';
END $$;
CREATE TRIGGER refuse BEFORE {event} FOR EACH ROW WHEN (NEW.run_id LIKE '%poison%')
    EXECUTE FUNCTION refuse()
"""


@pytest.fixture(params=["INSERT ON runs", "UPDATE ON deployment_routings"])
def poisonous(request: pytest.FixtureRequest, world: LiveDoer, database: str) -> Iterator[LiveDoer]:
    """Runs with `poison` in their id are refused when stored, or when resolved."""
    with psycopg.connect(database) as connection:
        connection.execute(REFUSE.format(event=request.param))
    yield world
    with psycopg.connect(database) as connection:
        connection.execute("DROP FUNCTION refuse() CASCADE")


def test_it_harms_no_neighbour(poisonous: LiveDoer, api: Api) -> None:
    names = ["a", "b-poison", "c", "d", "e-poison"]
    body = {"namespace": poisonous.namespace, "doer": "planner"}
    drawn = api.post("/v1/assignments", body | {"runs": [{"runId": name} for name in names]})
    assert all(it["registered"] for it in drawn.body["assignments"])
    runs = [poisonous.bundle(name) for name in names]
    for again in ("accepted", "duplicate"):
        told = api.post("/v1/runs:batch", {"runs": runs})
        assert [it["status"] for it in told.body["results"]] == [
            "invalid" if "poison" in name else again for name in names
        ]
    problem = told.body["results"][1]["problem"]
    assert (problem["status"], problem["detail"]) == (
        422,
        "run 'b-poison' cannot be stored, a bug of the api; its log has the details",
    )
    # By itself it may as well be the database that is wrong: to be sent again, and kept meanwhile.
    assert api.post("/v1/runs", runs[1]).status == 500
    here = f"namespace={poisonous.namespace}"
    found = {name: api.get(f"/v1/runs/{name}?{here}").status for name in names}
    assert found == {name: 404 if "poison" in name else 200 for name in names}
    counted = sum(
        api.series("learnops_runs_total", arm=arm) or 0 for arm in ("control", "candidate")
    )
    assert counted == 3
    log = api.process.log.read_text()
    assert "b-poison cannot be stored: CheckViolation: no poison" in log
    assert "ada@" not in log
