"""Canaries that are drawn for sessions and for tenants' epochs: SDK, api, Postgres and operator."""

from collections.abc import Callable
from typing import Any

from learnops.client import Learner, Run
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.product import Installation

# Arms of the runs of a unit, where they are not all one.
MIXED = """
SELECT u.seq FROM unit_runs u JOIN runs r ON r.namespace = u.namespace AND r.run_id = u.run_id
GROUP BY u.rollout, u.seq HAVING count(DISTINCT r.arm) > 1
"""


def begin(
    installed: Installation,
    *,
    assignment: Json,
    steps: list[int],
    maturation_seconds: int,
    step_seconds: int = 3,
    min_candidate_runs: int = 10,
) -> None:
    """A doer with such a unit, and a canary of its second policy with its first traffic."""
    rollout = {
        "strategy": {"canary": {"steps": steps, "gate": "Timed", "stepSeconds": step_seconds}},
        "analysis": {
            "maturationSeconds": maturation_seconds,
            "minCandidateRuns": min_candidate_runs,
        },
    }
    installed.objects.doer(assignment=assignment, rollout=rollout)
    installed.objects.policy("planner-v1")
    installed.wait(
        lambda: installed.status("doers", "planner").get("traffic"), "planner-v1 to be served"
    )
    installed.roll_out("planner")
    installed.wait_share("planner", steps[0])


def ready(installed: Installation, agent: Learner) -> None:
    """Wait until the agent knows of the doer's traffic as it is now."""
    revision = installed.status("doers", "planner")["traffic"]["revision"]
    wait_until(
        lambda: (agent.stats()["revision"] or 0) >= revision,
        what="the traffic in the SDK",
        deadline_seconds=30,
    )


def report(run: Run, *, good: bool) -> None:
    """Loss 0 or, nearly, 1."""
    run.finish(
        gates=[{"name": "done", "passed": good}], metrics={"contradictions": 0 if good else 100}
    )


def work_until_the_end(installed: Installation, work: Callable[[int], Any]) -> str:
    """Go on, round by round, until the canary has ended; its stage."""
    rounds = iter(range(10_000))

    def ended() -> str | None:
        work(next(rounds))
        canary = installed.canary("planner")
        stage: str = (canary or {}).get("status", {}).get("stage", "")
        return stage if stage not in ("", "Pending", "Canary") else None

    return str(wait_until(ended, what="a verdict", deadline_seconds=180, explain=installed.explain))


def test_sessions_keep_their_arm_over_a_step_and_are_judged_by_their_mean(
    installed: Installation, agent: Learner
) -> None:
    # The first step is long enough for the early sessions on a machine with other things to do,
    # and they alone, of which some nine get the candidate, are too few to end it. None of their
    # runs may be resolved by its timeout.
    begin(
        installed,
        assignment={"unit": "Session"},
        steps=[30, 50],
        maturation_seconds=10,
        step_seconds=20,
        min_candidate_runs=25,
    )
    ready(installed, agent)

    def converse(session: str) -> list[tuple[str, float]]:
        """Control fails in the first of two runs, the candidate in none; how each was drawn."""
        first, second = agent.start(session=session), agent.start(session=session)
        report(first, good=first.arm == "candidate")
        report(second, good=True)
        return [(run.arm, run.propensity) for run in (first, second)]

    both = {name: converse(name) for name in (f"early-{number}" for number in range(30))}
    begun = {name: first for name, (first, _) in both.items()}
    assert {name: second for name, (_, second) in both.items()} == begun
    assert {share for _, share in begun.values()} == {0.3}
    assert {arm for arm, _ in begun.values()} == {"control", "candidate"}
    installed.wait_share("planner", 50)
    ready(installed, agent)
    new = agent.start(session="new")
    assert new.propensity == 0.5
    report(new, good=True)
    again = {name: agent.start(session=name) for name in begun}
    assert {name: (run.arm, run.propensity) for name, run in again.items()} == begun
    for run in again.values():
        report(run, good=True)
    assert work_until_the_end(installed, lambda n: converse(f"late-{n}")) == "Promoted"

    (told,) = (installed.canary("planner") or {})["status"]["candidates"]
    assert float(told["loss"]) < float(told["controlLoss"]) < 0.75
    assert installed.sql(MIXED) == []
    # Control lost one run of two, or of three; by their first run its sessions would have lost 1.
    means = installed.sql(
        "SELECT count(*) FROM deployment_routings WHERE unit_id LIKE 'early-%%' AND arm = 'control'"
        " AND loss BETWEEN 0.3 AND 0.55"
    )
    assert means == [(sum(arm == "control" for arm, _ in begun.values()),)]


def test_a_tenant_is_drawn_anew_each_epoch_and_a_roll_back_ends_it_for_all(
    installed: Installation, agent: Learner
) -> None:
    begin(
        installed,
        assignment={"unit": "TenantEpoch", "epochSeconds": 2},
        steps=[50],
        maturation_seconds=2,
    )
    ready(installed, agent)
    tenants = [f"tenant-{number}" for number in range(12)]

    def serve(_round: int) -> None:
        # Twice each, so that a tenant has two runs in an epoch however slow the machine is.
        for run in (agent.start(tenant=one) for one in tenants for _ in range(2)):
            report(run, good=run.arm == "control")

    assert work_until_the_end(installed, serve) == "RolledBack"
    assert agent.flush(30)
    assert installed.sql(MIXED) == []
    units, runs = installed.sql(
        "SELECT (SELECT count(*) FROM deployment_routings), (SELECT count(*) FROM unit_runs)"
    )[0]
    assert runs > units  # a tenant's runs of an epoch are one observation
    both = installed.sql(
        "SELECT split_part(unit_id, '/', 2) FROM deployment_routings GROUP BY 1"
        " HAVING count(DISTINCT arm) = 2"
    )
    assert both, "no tenant came to the other arm"
    wait_until(
        lambda: {agent.start(tenant=one).policy.name for one in tenants} == {"planner-v1"},
        what="the roll-back in the SDK",
        deadline_seconds=30,
    )
