"""An agent behind no SDK: route, content, report, signals, and what became of the run."""

from urllib.parse import urlencode

import pytest

from tests.integration.server.conftest import Api
from tests.live_doer import SALT, LiveDoer


def test_the_four_calls(api: Api, world: LiveDoer) -> None:
    where = {"namespace": world.namespace}
    asked = urlencode({**where, "doer": "planner", "runId": "r-1"})
    drawn = api.get(f"/v1/route?{asked}").body
    assert (drawn["registered"], drawn["rollout"]) == (True, SALT)
    policy = api.get(f"/v1/policies/{drawn['policy']}?{urlencode(where)}").body
    content = {name: policy[name] for name in drawn["content"]}
    assert content == drawn["content"]
    told = {name: drawn[name] for name in ("policy", "arm", "propensity", "revision")}
    assert api.post("/v1/runs", world.bundle("r-1", **told)).status == 201
    signal = {"name": "tests", "value": 0.5, "key": "build-7"}
    body = {**where, "doer": "planner", "signals": [signal]}
    assert api.post("/v1/runs/r-1/signals", body).status == 201
    run = api.get(f"/v1/runs/r-1?{urlencode(where)}").body
    assert {name: run[name] for name in told} == told
    assert (run["rollout"], run["reward"]["value"]) == (SALT, 0.5)
    assert sum(run["contributions"].values()) == pytest.approx(run["loss"])
    assert run["crl"] == pytest.approx(
        sum(weight * run["terms"][term] for term, weight in run["weights"].items())
    )
