"""The operator killed with SIGKILL again and again: the rollouts end as if it never had been."""

import random
from collections import Counter

from tests.product import Installation

LEASE = "/apis/coordination.k8s.io/v1/namespaces/learnops-system/leases/learnops-operator"
SEED = 20240611
KILLS = 10
STEPS = [5, 10, 25, 50]
ROLLOUT = {
    "strategy": {"canary": {"steps": STEPS, "stepSeconds": 4}},
    # More candidate runs than the first agents make: no promotion before the last kill but one.
    "analysis": {"maturationSeconds": 20, "minCandidateRuns": 160},
}
FIRST_RUNS = 300  # of each doer's first agent


def test_ten_kills_change_nothing_about_the_outcome(installed: Installation) -> None:
    chance = random.Random(SEED)
    truth = installed.truth(planner_v1=0.6, planner_v2=0.25, critic_v1=0.25, critic_v2=0.5)
    for doer in ("planner", "critic"):
        installed.doer(doer, rollout=ROLLOUT)
        first = ("--runs", str(FIRST_RUNS))
        installed.product.start_agents(doer, truth=truth, count=1, rate=15, flags=first)
        installed.roll_out(doer)
    for _ in range(KILLS - 1):
        kill_at_random_moment(installed, chance)
    installed.wait_share("planner", STEPS[-1])
    assert installed.status("doers", "planner")["activePolicy"] == "planner-v1"
    for doer in ("planner", "critic"):
        installed.product.start_agents(doer, truth=truth, count=1, rate=20)
    kill_while_promoting(installed)
    assert installed.wait_end("planner") == "Promoted"
    assert installed.wait_end("critic") == "RolledBack"
    installed.wait_stages(
        {
            "planner-v1": "Archived",
            "planner-v2": "Active",
            "critic-v1": "Active",
            "critic-v2": "Rejected",
        }
    )
    check_steps(installed)
    wait_record(installed)
    check_record(installed)


def kill_at_random_moment(installed: Installation, chance: random.Random) -> None:
    """After the k-th change of any object or after a while; in half of the cases, rather at once
    when a doer's traffic changes, in the middle of what belongs to it."""
    stop_at = chance.choice(["doers", ""])
    installed.changes.wait(chance.randint(1, 6), seconds=chance.uniform(0.2, 2.0), stop_at=stop_at)
    restart(installed)


def kill_while_promoting(installed: Installation) -> None:
    """The Doer serves the new policy, and nothing else says so yet."""
    installed.changes.wait_for(
        lambda: (
            installed.changes.of("doers", "planner")[-1]["status"]["activePolicy"] == "planner-v2"
        ),
        what="the promotion",
        seconds=120,
        explain=installed.explain,
    )
    restart(installed)


def restart(installed: Installation) -> None:
    operator = installed.product.operator
    assert operator.process.running, operator.process.log_tail()
    operator.process.kill()
    # As if the time had passed for which its last renewal holds; the next one gets a higher fence.
    installed.objects.api.merge(LEASE, {"spec": {"holderIdentity": ""}})
    operator.start()
    installed.wait(lambda: operator.get("/readyz") == "active", "the operator to act again")


def check_steps(installed: Installation) -> None:
    """No step is missing, none is there twice, and revisions rise one by one."""
    assert installed.changes.ramp("planner", "planner-v2") == [*STEPS, 100]
    down = installed.changes.ramp("critic", "critic-v2")
    assert down == [*STEPS[: len(down) - 1], 0]
    for doer, stage in (("planner", "Promoted"), ("critic", "RolledBack")):
        canary = installed.canary(doer)
        assert canary is not None
        history = canary["status"]["history"]
        seen = Counter((one["reason"], one["percent"]) for one in history)
        assert set(seen.values()) == {1}, history
        assert history[-1]["stage"] == stage
    active = [
        policy["metadata"]["name"]
        for policy in installed.objects.api.get(installed.objects.path("policies"))["items"]
        if policy["status"]["stage"] == "Active"
    ]
    assert sorted(active) == ["critic-v1", "planner-v2"]


def wait_record(installed: Installation) -> None:
    """Wait until moves down and the ends are in the run log: they come after all statuses."""
    for doer in ("planner", "critic"):
        installed.wait(
            lambda doer=doer: not installed.status("doers", doer).get("pendingAudit"),
            f"all moves of {doer} to be on record",
        )
    installed.wait(
        lambda: not installed.sql("SELECT FROM shadow_deployments WHERE ended_at IS NULL"),
        "the ends of the rollouts",
    )


def check_record(installed: Installation) -> None:
    """The audit trail holds each move once; each rollout was opened once and has ended."""
    moves = installed.sql("SELECT policy_id, to_stage FROM policy_promotions")
    assert set(Counter(moves).values()) == {1}, moves
    assert {
        ("planner-v1", "Active"),
        ("planner-v2", "Active"),
        ("planner-v1", "Archived"),
        ("critic-v1", "Active"),
        ("critic-v2", "Rejected"),
    } <= set(moves)
    rollouts = installed.sql(
        "SELECT doer, attempt, ended_at IS NULL, outcome FROM shadow_deployments ORDER BY doer"
    )
    assert rollouts == [("critic", 1, False, "RolledBack"), ("planner", 1, False, "Promoted")]
