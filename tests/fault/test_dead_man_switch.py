"""The operator is gone: traffic stays until its time to live ends, then new units get control."""

import itertools

from learnops.client import Learner, Options
from testbed.waiting import wait_until
from tests.fault.conftest import StartProduct
from tests.product import Installation

TTL_SECONDS = 15  # five renewals of the Lease
ROLLOUT = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 600, "minCandidateRuns": 1000},
}


def test_without_an_operator_new_units_get_control_and_drawn_ones_stay(
    start_product: StartProduct,
) -> None:
    installed = start_product(api_flags=("--ttl-seconds", str(TTL_SECONDS)))
    installed.doer("planner", rollout=ROLLOUT)
    installed.roll_out("planner")
    installed.wait_share("planner", 50)
    with learner(installed) as agent:
        drawn = draw_both_arms(agent)
        served = installed.changes.shares("planner")[-1]
        installed.product.operator.process.kill()
        wait_until(
            lambda: agent.stats()["snapshot_seconds_left"] == 0,
            what="the time to live to end",
            deadline_seconds=60 + TTL_SECONDS,
        )
        check_control(agent)
        for session, policy in drawn.items():
            run = agent.start(session=session)
            assert run.policy.name == policy
            assert run.policy.prompts  # its content is there without the api, too
            run.finish(gates=[{"name": "done", "passed": True}])
        with learner(installed) as newcomer:
            check_control(newcomer)
        assert agent.stats()["dead_man_switch"] >= 20
        assert installed.changes.shares("planner")[-1] == served
        installed.product.operator.start()
        resumed = itertools.count()
        wait_until(
            lambda: agent.start(session=f"later-{next(resumed)}").propensity == 0.5,
            what="new units to be drawn again",
            deadline_seconds=90,  # of which the Lease of the one that was killed takes 15
        )
        assert agent.flush(60)
    evidence = installed.sql("SELECT count(*) FROM deployment_routings WHERE propensity <> 0.5")
    assert evidence == [(0,)]
    unregistered = installed.sql(
        "SELECT count(*) FROM runs WHERE rollout IS NOT NULL AND run_id NOT IN"
        " (SELECT run_id FROM deployment_routings)"
    )
    assert unregistered == [(0,)]


def learner(installed: Installation) -> Learner:
    return Learner(
        "planner",
        api=installed.product.api.url,
        token=installed.product.token,
        namespace=installed.objects.namespace,
        # A loaded machine may take longer than an agent would wait.
        options=Options(first_snapshot_seconds=20.0, registration_seconds=20.0),
    )


def draw_both_arms(agent: Learner) -> dict[str, str]:
    """Sessions that were drawn, with their policies: at least one on each arm."""
    drawn: dict[str, str] = {}
    numbers = itertools.count()

    def both() -> bool:
        session = f"first-{next(numbers)}"
        run = agent.start(session=session)
        if run.propensity == 0.5:
            drawn[session] = run.policy.name
        run.finish(gates=[{"name": "done", "passed": True}])
        return set(drawn.values()) == {"planner-v1", "planner-v2"}

    # Its first sessions may begin before the api has seen the share that the doer's status tells.
    wait_until(both, what="a session on each arm", deadline_seconds=60, explain=lambda: str(drawn))
    return drawn


def check_control(agent: Learner) -> None:
    for number in range(20):
        run = agent.start(session=f"new-{number}")
        assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)
        run.finish(gates=[{"name": "done", "passed": True}])
