"""A good request to each route, and the right that it must ask for. A new route adds its row."""

from dataclasses import dataclass
from typing import Any

from learnops.ports.access import Need, Verb


@dataclass(frozen=True, kw_only=True)
class Asks:
    """`path` is filled in, with the query; `need` is what is asked for first."""

    path: str
    need: Need
    body: Any = None


def rows(namespace: str) -> dict[str, Asks]:
    """By method and route, all of them about the doer `planner` in the namespace."""
    here: dict[str, Any] = {"namespace": namespace, "doer": "planner"}
    query = f"namespace={namespace}&doer=planner"
    bundle = {**here, "runId": "r", "policy": "planner-v1"}

    def need(verb: Verb, doer: str | None = "planner") -> Need:
        return Need(verb=verb, namespace=namespace, doer=doer)

    route, ingest, read = need(Verb.ROUTE), need(Verb.INGEST), need(Verb.READ, None)
    return {
        "POST /v1/assignments": Asks(
            path="/v1/assignments", body={**here, "runs": [{"runId": "r"}]}, need=route
        ),
        "POST /v1/assignments:void": Asks(
            path="/v1/assignments:void", body={**here, "runIds": ["r"]}, need=route
        ),
        "GET /v1/route": Asks(path=f"/v1/route?{query}&runId=r", need=route),
        "GET /v1/snapshot": Asks(path=f"/v1/snapshot?{query}", need=route),
        "POST /v1/runs": Asks(path="/v1/runs", body=bundle, need=ingest),
        "POST /v1/runs:batch": Asks(path="/v1/runs:batch", body={"runs": [bundle]}, need=ingest),
        "GET /v1/runs/{run_id}": Asks(path=f"/v1/runs/r?namespace={namespace}", need=read),
        "POST /v1/runs/{run_id}/signals": Asks(
            path="/v1/runs/r/signals",
            body={**here, "signals": [{"name": "tests", "value": 1, "key": "k"}]},
            need=ingest,
        ),
        "POST /v1/shadows": Asks(
            path="/v1/shadows", body={**here, "rollout": "u.0", "runIds": ["r"]}, need=route
        ),
        "POST /v1/shadows:report": Asks(
            path="/v1/shadows:report", body={"runs": [bundle]}, need=ingest
        ),
        "GET /v1/policies/{name}": Asks(
            path=f"/v1/policies/planner-v1?namespace={namespace}", need=read
        ),
        "GET /v1/canaries/{name}": Asks(
            path=f"/v1/canaries/planner-canary?namespace={namespace}", need=read
        ),
    }
