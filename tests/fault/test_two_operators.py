"""Two instances of the operator on the whole product: one acts, the other waits and takes over."""

from tests.product import Installation

ROLLOUT = {
    "strategy": {"canary": {"steps": [10, 25, 50], "stepSeconds": 3}},
    # More candidate runs than the first agents make: no promotion before the last step.
    "analysis": {"maturationSeconds": 20, "minCandidateRuns": 160},
}
FIRST_RUNS = 300
STATUSES = ("doers", "policies", "canarydeployments")


def test_one_acts_and_the_other_finishes_the_rollout(installed: Installation) -> None:
    first, second = installed.product.operator, installed.product.another_operator("operator-2")
    second.start()
    installed.wait(lambda: second.get("/readyz") == "standby", "the second to stand by")
    installed.doer("planner", rollout=ROLLOUT)
    truth = installed.truth(planner_v1=0.6, planner_v2=0.3)
    first_runs = ("--runs", str(FIRST_RUNS))
    installed.product.start_agents("planner", truth=truth, count=1, rate=20, flags=first_runs)
    installed.roll_out("planner")
    installed.wait_share("planner", 25)
    assert (first.get("/readyz"), second.get("/readyz")) == ("active", "standby")
    (fence,) = fences(installed)
    assert second.total("learnops_reconcile_total") == 0
    assert second.total("learnops_api_requests_total", verb="GET") > 0  # it looks at the Lease
    for verb in ("PUT", "PATCH", "POST"):
        assert second.total("learnops_api_requests_total", verb=verb) == 0
    first.process.kill()
    installed.product.operator = second
    installed.wait_share("planner", 50)
    installed.product.start_agents("planner", truth=truth, count=1, rate=20)
    assert installed.wait_end("planner") == "Promoted"
    installed.wait_stages({"planner-v1": "Archived", "planner-v2": "Active"})
    assert installed.changes.ramp("planner", "planner-v2") == [10, 25, 50, 100]
    assert fences(installed) == [fence, fence + 1]


def fences(installed: Installation) -> list[int]:
    """The fences on all objects, in the order in which they were stored, each once."""
    installed.changes.catch_up()
    for plural in STATUSES:
        for name in {one["metadata"]["name"] for one in installed.changes.of(plural)}:
            told = [fence(one) for one in installed.changes.of(plural, name)]
            assert told == sorted(told), (plural, name, told)
    stored = {fence(one) for plural in STATUSES for one in installed.changes.of(plural)}
    return sorted(stored - {0})


def fence(item: dict[str, dict[str, int]]) -> int:
    return item.get("status", {}).get("fence", 0)
