"""The forms in which a run begins and ends: a block, a decorator, by hand, not at all."""

import inspect
from collections.abc import Iterator

import pytest

from learnops.client import AsyncLearner, AsyncRun, Learner, Run
from tests.contract.client.learners import Connect, ready, unit
from tests.contract.client.stand_in import StandInApi


def test_a_block_begins_and_reports_a_run(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    with learner.run(tenant="acme", run_id="r") as run:
        assert run.policy.name == "planner-v1"
        run.finish(metrics={"grounding": 1.0})
    assert learner.flush(60)
    assert (api.runs["r"]["tenant"], api.runs["r"]["metrics"]) == ("acme", {"grounding": 1.0})


def test_a_block_reports_its_exception_and_lets_it_pass(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    with pytest.raises(RuntimeError, match="hunter2"), learner.run(run_id="r"):
        raise RuntimeError("password hunter2")
    assert learner.flush(60)
    assert api.runs["r"]["qav"] == {"error": "RuntimeError"}
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": False}]


def test_a_decorator_finds_tenant_and_session_in_the_call(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50, assignment={"unit": "Session"})
    learner = ready(connect(), 2)

    @learner.agent(tenant="acme", session=lambda task, **_: f"session-{task}")
    def plan(run: Run, task: str, *, loud: bool = False) -> str:
        """Plans."""
        run.finish(metrics={"grounding": 0.5})
        return f"{task}:{loud}"

    assert plan("bridge", loud=True) == "bridge:True"
    assert plan("tower") == "tower:False"
    assert (plan.__name__, plan.__doc__) == ("plan", "Plans.")
    assert learner.flush(60)
    assert {told["tenant"] for told in api.runs.values()} == {"acme"}
    asked = {run["unitId"] for batch in api.registrations for run in batch}
    assert asked == {"session-bridge", "session-tower"}


def test_what_finds_the_tenant_is_the_agents_own_code(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())

    @learner.agent(tenant=lambda task: task.owner)
    def plan(run: Run, task: object) -> None:
        """Never called."""

    with pytest.raises(AttributeError, match="owner"):
        plan(object())
    assert "runs_started" not in learner.stats()


def test_a_generator_is_refused_where_it_is_decorated(connect: Connect) -> None:
    learner = connect()

    def parts(run: Run) -> Iterator[str]:
        yield "never"

    with pytest.raises(TypeError, match=r"in a generator use `with learner\.run\(\) as run`"):
        learner.agent(parts)


@pytest.mark.parametrize("registered", [True, False])
def test_a_run_that_is_withdrawn_is_no_evidence_and_not_reported(
    api: StandInApi, connect: Connect, registered: bool
) -> None:
    api.serve(percent=50 if registered else None)
    learner = ready(connect(), 2)
    run = learner.start(run_id=unit("candidate"))
    learner.withdraw(run)
    run.finish(metrics={"grounding": 1.0})
    learner.withdraw(run)
    assert learner.flush(60)
    assert api.voided == ([run.id] if registered else [])
    assert api.runs == {}


def test_a_run_that_was_reported_is_not_withdrawn(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    run = learner.start(run_id="r")
    run.finish()
    learner.withdraw(run)
    assert learner.flush(60)
    assert (set(api.runs), api.voided) == ({"r"}, [])


def arguments(function: object) -> dict[str, tuple[object, object]]:
    """Names, kinds and defaults."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return {name: (it.kind, it.default) for name, it in signature.parameters.items()}


def test_both_sides_have_the_same_names() -> None:
    for sync, other in ((Learner, AsyncLearner), (Run, AsyncRun)):
        public = {name for name in dir(sync) if not name.startswith("_")}
        inner = {"starting", "shadowing"}  # what the one side has for the other
        assert public - inner == {name for name in dir(other) if not name.startswith("_")}
        for name in {"__init__", *(public - inner)}:
            one, two = getattr(sync, name), getattr(other, name)
            if callable(one):
                assert arguments(one) == arguments(two), name
