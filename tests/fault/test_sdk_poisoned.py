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
        assert learner.flush(30)
    fault.wait_stored(good)
    (file,) = fault.spool.glob("*/refused.ndjson")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    told = {one["body"]["runId"] if one["body"] else "huge": one["reason"] for one in letters}
    assert set(told) == set(poison)
    assert "metrics.grounding" in told["rate"]
    assert "1 MiB" in told["huge"]
    assert learner.stats()["dead_letters"] == len(poison)
    with fault.learner() as again:
        assert again.flush(20)
        assert again.stats().get("bundles_invalid") is None  # they are not sent once more


def _nested(depth: int) -> object:
    value: object = "end"
    for _ in range(depth):
        value = {"a": value}
    return value
