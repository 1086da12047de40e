"""What a unit drew stays, whatever the api says later; only a roll back ends it."""

from tests.contract.client.handler import Handler
from tests.contract.client.learners import ASSIGNMENTS, Connect, ready, unit
from tests.contract.client.stand_in import StandInApi


def test_a_session_keeps_its_arm_also_when_registration_fails(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50)
    session = unit("candidate")
    learner = ready(connect(), 2)
    assert learner.start(session=session).arm == "candidate"
    assert api.registrations[0][0]["unitId"] == session
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {})
    again = learner.start(session=session)
    assert (again.arm, again.policy.name) == ("candidate", "planner-v2")
    again.finish(metrics={"grounding": 1.0})
    assert learner.flush(60)
    assert "rollout" not in api.runs[again.id]  # drawn once, and this run is no evidence
    assert learner.start(session=unit("candidate", after="other")).arm == "control"


def test_a_run_started_again_is_not_drawn_again(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    first = learner.start(run_id=unit("candidate"))
    api.stop()
    again = learner.start(run_id=first.id)
    assert (again.arm, again.propensity) == ("candidate", 0.5)


def test_a_roll_back_overrides_what_a_unit_had(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    session = unit("candidate")
    assert learner.start(session=session).arm == "candidate"
    api.serve(percent=None)
    ready(learner, 3)
    assert learner.start(session=session).policy.name == "planner-v1"


def test_a_lagging_replica_cannot_revive_a_candidate(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50, revision=5)
    learner = ready(connect(), 5)
    api.serve(percent=50, revision=6, salt="canary-2.0")
    ready(learner, 6)

    def lag(handler: Handler) -> None:
        told = {**api.assign(handler.body["runs"][0]), "rollout": "canary-1.0", "revision": 5}
        handler.answer(200, {"assignments": [told]})

    api.misbehave[ASSIGNMENTS] = lag
    run = learner.start(run_id=unit("candidate", salt="canary-2.0"))
    assert (run.arm, run.propensity) == ("control", 0.0)
    api.wait_for(lambda: run.id in api.voided, "the void")


def test_a_policy_that_is_not_here_yet_is_fetched_once(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    learner = ready(connect(), 2)
    api.hidden = set()
    run = learner.start(run_id=unit("candidate"))
    assert run.policy.prompts["system"] == "Plan well."
    assert run.propensity == 0.5


def test_a_policy_that_nobody_has_means_control_and_a_void(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    run = ready(connect(), 2).start(run_id=unit("candidate"))
    assert (run.policy.name, run.propensity) == ("planner-v1", 0.0)
    api.wait_for(lambda: run.id in api.voided, "the void")


def test_a_policy_that_nobody_has_is_asked_for_once_and_not_for_each_run(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    learner = ready(connect(), 2)
    runs = [unit("candidate", after=f"u{number}-") for number in range(5)]
    before = _questions(api)
    for run in runs:
        learner.start(run_id=run)
    assert learner.stats()["draws_unusable"] == 5
    # One by the first of them, and the long poll's own where one ended meanwhile.
    assert _questions(api) - before <= 2


def _questions(api: StandInApi) -> int:
    return sum(request["path"] == "/v1/snapshot" for request in api.requests)
