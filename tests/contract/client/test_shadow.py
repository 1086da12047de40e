"""The candidate beside control: off the answer path, and only where the api opened its pair."""

import sys
import threading

import pytest

from learnops.client import AsyncLearner, AsyncRun, Learner, Run
from tests.contract.client.handler import Handler
from tests.contract.client.learners import Connect, ready
from tests.contract.client.stand_in import StandInApi

SHADOWS, REPORT = "/v1/shadows", "/v1/shadows:report"


class Beside:
    """An agent that remembers the policies that it ran with."""

    def __init__(self, api: StandInApi, learner: Learner | None = None) -> None:
        self.ran: list[str] = []
        self.told: list[dict[str, object]] = []
        api.misbehave[REPORT] = self._report
        if learner is not None:
            self.plan = learner.agent(self._plan)

    def _plan(self, run: Run) -> str:
        self.ran.append(run.policy.name)
        run.finish(metrics={"grounding": 0.5})
        return run.policy.name

    def _report(self, handler: Handler) -> None:
        self.told += handler.body["runs"]
        results = [{"runId": one["runId"], "status": "accepted"} for one in handler.body["runs"]]
        handler.answer(200, {"results": results})


def opened(handler: Handler) -> None:
    handler.answer(200, {"opened": handler.body["runIds"]})


def test_the_candidate_reports_under_the_run_of_control(api: StandInApi, connect: Connect) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    learner = ready(connect())
    beside = Beside(api, learner)
    assert beside.plan() == "planner-v1"
    assert learner.flush(60)
    assert beside.ran == ["planner-v1", "planner-v2"]
    ((run_id, control),) = api.runs.items()
    (candidate,) = beside.told
    assert (candidate["runId"], candidate["rollout"]) == (run_id, "canary-1.0")
    assert (candidate["policy"], candidate["propensity"]) == ("planner-v2", 0.0)
    assert (control["policy"], control["arm"]) == ("planner-v1", "control")


@pytest.mark.parametrize(
    ("status", "body"), [(503, {"detail": "no database"}), (200, {"opened": []}), (200, None)]
)
def test_a_pair_that_is_not_opened_runs_no_candidate(
    api: StandInApi, connect: Connect, status: int, body: object
) -> None:
    api.shadow = "planner-v2"
    api.misbehave[SHADOWS] = lambda handler: handler.answer(status, body)
    learner = ready(connect())
    beside = Beside(api, learner)
    assert beside.plan() == "planner-v1"
    assert learner.flush(60)
    assert beside.ran == ["planner-v1"]
    assert learner.stats()["shadows_unopened"] == 1


def test_nothing_runs_beside_control_where_nothing_is_in_shadow(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())
    beside = Beside(api, learner)
    assert beside.plan() == "planner-v1"
    assert learner.start().shadow is None
    assert learner.flush(60)
    assert beside.ran == ["planner-v1"]


def test_an_operator_that_is_not_heard_of_ends_the_stage(api: StandInApi, connect: Connect) -> None:
    api.shadow, api.ttl, api.misbehave[SHADOWS] = "planner-v2", 0.0, opened
    assert ready(connect()).start().shadow is None


def test_the_candidate_runs_where_control_failed_as_well(api: StandInApi, connect: Connect) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    learner = ready(connect())
    beside = Beside(api, learner)

    @learner.agent
    def plan(run: Run) -> None:
        beside.ran.append(run.policy.name)
        raise RuntimeError("control's tool is away")

    with pytest.raises(RuntimeError, match="tool is away"):
        plan()
    assert learner.flush(60)
    assert beside.ran == ["planner-v1", "planner-v2"]
    (candidate,) = beside.told
    assert candidate["gates"] == [{"name": "completed", "passed": False}]


def test_a_coroutine_is_refused_where_it_is_decorated(api: StandInApi, connect: Connect) -> None:
    async def plan(_run: Run) -> None:
        """Never called."""

    with pytest.raises(TypeError, match="must decorate a plain function"):
        connect().agent(plan)


class Called:
    async def __call__(self, run: Run) -> None:
        """Never called."""


def test_an_object_that_is_called_as_a_coroutine_is_refused_too(connect: Connect) -> None:
    with pytest.raises(TypeError, match="use AsyncLearner for a coroutine"):
        connect().agent(Called())


def test_an_answer_that_is_still_to_be_awaited_is_no_run(api: StandInApi, connect: Connect) -> None:
    """As of a lambda that calls a coroutine function: neither arm has run then."""
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    learner = ready(connect())
    plan = learner.agent(lambda run: Called()(run))
    with pytest.raises(TypeError, match=r"returned coroutine, .* `async def` around it and use As"):
        plan()
    assert learner.flush(60)
    assert api.runs == {}
    assert SHADOWS not in {request["path"] for request in api.requests}


async def test_an_object_that_is_called_as_a_coroutine_is_one_for_asyncio(api: StandInApi) -> None:
    ran: list[str] = []

    class Agent:
        async def __call__(self, run: AsyncRun) -> None:
            ran.append(run.id)
            await run.finish(metrics={"grounding": 1.0})

    async with AsyncLearner("planner", api=api.url, namespace="agents") as learner:
        await learner.agent(Agent())()
        with pytest.raises(TypeError, match="write `async def` around one that returns a coroutin"):
            learner.agent(lambda run: Agent()(run))
        assert await learner.flush(60)
    assert list(api.runs) == ran


def test_a_candidate_that_exits_ends_nothing_but_its_run(api: StandInApi, connect: Connect) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    learner = ready(connect())
    beside = Beside(api, learner)

    @learner.agent
    def plan(run: Run) -> None:
        beside.ran.append(run.policy.name)
        if run.dry_run:
            sys.exit("the candidate found no config")

    for _ in range(2):  # the thread lives on
        plan()
        assert learner.flush(60)
    assert beside.ran == ["planner-v1", "planner-v2"] * 2
    assert [one["gates"] for one in beside.told] == [[{"name": "completed", "passed": False}]] * 2
    assert learner.stats()["shadows_run"] == 2


async def test_a_candidate_that_exits_leaves_the_loop_alone(api: StandInApi) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    async with AsyncLearner("planner", api=api.url, namespace="agents") as learner:
        beside = Beside(api)
        ran: list[bool] = []

        @learner.agent
        async def plan(run: AsyncRun) -> None:
            ran.append(run.dry_run)
            if run.dry_run:
                sys.exit("the candidate found no config")

        for _ in range(2):
            await plan()
            assert await learner.flush(60)
    assert ran == [False, True] * 2
    assert [one["gates"] for one in beside.told] == [[{"name": "completed", "passed": False}]] * 2


def test_candidates_that_are_left_out_are_counted(api: StandInApi, connect: Connect) -> None:
    go_on = threading.Event()

    def hold(handler: Handler) -> None:
        go_on.wait(60)
        opened(handler)

    api.shadow, api.misbehave[SHADOWS] = "planner-v2", hold
    learner = ready(connect(options={"shadow_waiting": 1}))
    beside = Beside(api, learner)
    beside.plan()
    api.wait_for(lambda: any(told["path"] == SHADOWS for told in api.requests), "its pair")
    for _ in range(4):  # one may wait
        beside.plan()
    assert learner.stats()["shadows_dropped"] == 3
    go_on.set()
    assert learner.flush(60)
    assert learner.stats()["shadows_run"] == 2
