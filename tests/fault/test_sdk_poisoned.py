"""A record that nobody can store costs its neighbours nothing."""

import json

from learnops.client.waiting import in_thread
from tests.fault.spooling import METRICS, Fault, fault

__all__ = ["fault"]  # fixtures


def test_a_poisoned_record_costs_its_neighbours_nothing(fault: Fault) -> None:
    poison = {
        "rate": {"metrics": {"grounding": 7, "contradictions": 0}},
        "deep": {"metrics": METRICS, "qav": _nested(100)},
        "many": {"metrics": {f"m{number}": 1 for number in range(5000)}},
        "huge": {"metrics": METRICS, "qav": {"answer": "x" * 2**20}},
    }
    with fault.learner(batch_seconds=30.0) as learner:
        good = set()
        for name, sections in poison.items():
            for place in ("before", "after"):
                run = learner.start(run_id=f"{place}-{name}")
                run.finish(metrics=METRICS)
                good.add(run.id)
            run = learner.start(run_id=name)
            head = {"runId": name, "doer": "planner", "policy": run.policy.name}
            record = {**head, "namespace": fault.world.namespace, **sections}
            # `finish` would mend it; the SDKs of other versions and languages may not.
            in_thread(learner._engine.reporter.report(json.dumps(record).encode()))
        assert learner.flush(60)
    fault.wait_stored(good)
    # The thread of the spool writes them, and `close` waits for it for 2 s at most.
    fault.wait(lambda: told_of(fault).count("\n") == len(poison), "all dead letters")
    letters = [json.loads(line) for line in told_of(fault).splitlines()]
    told = {one["body"]["runId"] if one["body"] else "huge": one["reason"] for one in letters}
    assert set(told) == set(poison)
    assert "metrics.grounding" in told["rate"]
    assert "1 MiB" in told["huge"]
    fault.wait(lambda: learner.stats()["dead_letters"] == len(poison), "them to be counted")
    with fault.learner() as again:
        assert again.flush(60)
        assert again.stats().get("bundles_invalid") is None  # they are not sent once more


def told_of(fault: Fault) -> str:
    """The dead letters as they are so far."""
    return "".join(file.read_text() for file in fault.spool.glob("*/refused.ndjson"))


def _nested(depth: int) -> object:
    value: object = "end"
    for _ in range(depth):
        value = {"a": value}
    return value
