"""What the SDK draws for: a session or a tenant where the doer asks for one."""

import pytest

from learnops.client.snapshot import MalformedSnapshotError, UnitKind, parse_snapshot
from learnops.client.units import unit_of
from tests.contract.client.learners import ASSIGNMENTS, Connect, ready, unit
from tests.contract.client.stand_in import StandInApi

SESSION = {"unit": "Session"}
TENANT = {"unit": "TenantEpoch", "epochSeconds": 86400}


@pytest.mark.parametrize(
    ("assignment", "given", "told"),
    [
        (None, {"tenant": "acme"}, None),
        (None, {"tenant": "acme", "session": "s"}, "s"),
        (SESSION, {"tenant": "acme", "session": "s"}, "s"),
        (TENANT, {"tenant": "acme", "session": "s"}, "acme"),
    ],
)
def test_the_api_is_told_the_unit_that_the_doer_asks_for(
    api: StandInApi, connect: Connect, assignment: object, given: dict[str, str], told: str | None
) -> None:
    api.serve(percent=50, assignment=assignment)
    learner = ready(connect(), 2)
    assert learner.start(**given).propensity == 0.5
    assert api.registrations[0][0].get("unitId") == told


@pytest.mark.parametrize(
    ("assignment", "given"), [(SESSION, {"tenant": "acme"}), (TENANT, {"session": "s"})]
)
def test_without_its_unit_a_run_gets_control_and_is_counted(
    api: StandInApi, connect: Connect, assignment: object, given: dict[str, str]
) -> None:
    api.serve(percent=50, assignment=assignment)
    learner = ready(connect(), 2)
    for _ in range(2):
        run = learner.start(**given)
        assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)
    assert learner.stats()["runs_without_unit"] == 2
    assert api.registrations == []


def test_each_run_of_a_session_is_registered(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50, assignment=SESSION)
    learner = ready(connect(), 2)
    runs = [learner.start(session="s") for _ in range(3)]
    assert len({run.arm for run in runs}) == 1
    assert {one["runId"] for batch in api.registrations for one in batch} == {
        run.id for run in runs
    }


def test_a_session_does_not_keep_a_candidate_that_was_dropped(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50, assignment=SESSION)
    learner, session = ready(connect(), 2), unit("candidate")
    assert learner.start(session=session).policy.name == "planner-v2"
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {"detail": "no"})
    assert learner.start(session=session).policy.name == "planner-v2", "it keeps its arm"
    api.serve(percent=50, candidate="planner-v3")  # of the same rollout: the other one goes on
    ready(learner, 3)
    run = learner.start(session=session)
    assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)


def test_a_tenant_is_another_unit_in_another_epoch() -> None:
    kind = UnitKind(name="TenantEpoch", epoch_seconds=60)

    def key(now: float, *, tenant: str = "acme") -> str:
        found = unit_of(kind, run_id="r", session=None, tenant=tenant, now=now)
        assert found is not None
        return found.key

    assert key(120.0) == key(179.9) != key(180.0)
    assert key(120.0) != key(120.0, tenant="umbrella")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ({"unit": "Planet"}, "upgrade this SDK"),
        ("Session", "upgrade this SDK"),
        ({"unit": "TenantEpoch"}, "epochSeconds is None"),
        ({"unit": "TenantEpoch", "epochSeconds": 0}, "epochSeconds is 0"),
    ],
)
def test_a_unit_that_cannot_be_drawn_for_is_no_snapshot(
    api: StandInApi, assignment: object, message: str
) -> None:
    with pytest.raises(MalformedSnapshotError, match=message):
        parse_snapshot({**api.snapshot(), "assignment": assignment})
