"""Malformed details on the real api: each run is scored by what it could tell, in a live canary."""

import math
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.server.conftest import Api
from tests.integration.server.test_sdk import Connect, connect, evidence_runs, wait_for
from tests.live_doer import LiveDoer

__all__ = ["connect"]

GOOD = {"grounding": 0.9, "contradictions": 0}
LOSS = 0.075  # of it, by the world's weights
# What is reported, the loss, and the terms that are missing.
CASES: dict[str, tuple[dict[str, Any], float, list[str]]] = {
    "cosine": ({"metrics": {**GOOD, "grounding": 1.0000000000000002}}, 0.0, []),
    "gate-detail": ({"gates": [{"name": "compiles", "passed": True, "detail": "ok"}]}, LOSS, []),
    "gate-one": ({"gates": [{"name": "compiles", "passed": 1}]}, LOSS, []),
    "gate-text": ({"gates": ["compiles"]}, LOSS, []),
    "nul": ({"qav": {"answer": "tool said \x00"}}, LOSS, []),
    "surrogate": ({"qav": {"answer": "\ud83d"}}, LOSS, []),
    "nan-unused": ({"metrics": {**GOOD, "perplexity": math.nan}}, LOSS, []),
    "decimal": ({"metrics": {**GOOD, "x": Decimal("0.5")}}, LOSS, []),
    "artifact": ({"artifacts": ["s3://x/y"]}, LOSS, []),
    "duration": ({"duration_milliseconds": "812"}, LOSS, []),
    "budget": ({"budget": {"maxCostUSD": "5"}}, LOSS, []),
    "large": ({"artifacts": [{"x": "y" * 60_000} for _ in range(20)]}, LOSS, []),
    "answers": ({"qav": {str(n): "y" * 60_000 for n in range(20)}}, LOSS, []),
    # Unknown is never good: the term counts the worst.
    "nan": ({"metrics": {**GOOD, "grounding": math.nan}}, 0.75, ["grounding"]),
    "no-rate": ({"metrics": {**GOOD, "grounding": 90}}, 0.75, ["grounding"]),
}


def test_each_costs_its_detail_and_no_run(api: Api, world: LiveDoer, connect: Connect) -> None:
    learner = connect()
    for name, (given, _, _) in CASES.items():
        learner.start(run_id=name).finish(**{"metrics": GOOD, **given})
    assert learner.flush(30)
    for name, (_, loss, missing) in CASES.items():
        stored = api.get(f"/v1/runs/{name}?namespace={world.namespace}")
        assert stored.status == 200, name
        told = stored.body
        assert (told["loss"], told["missing"]) == (pytest.approx(loss), missing), name
        assert told["partial"] == bool(missing), name
    stats = learner.stats()
    assert (stats["bundles_accepted"], stats["texts_cleaned"]) == (len(CASES), 2)
    assert not {"bundles_invalid", "bundles_dropped", "dead_letters"} & stats.keys()
    wait_for(lambda: evidence_runs(api, world) == len(CASES), "all of them in the evidence")
