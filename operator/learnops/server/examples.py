"""An example of each request and answer, as the OpenAPI document shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from learnops.ports.access import Verb


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What the document says of a route beyond its schema.

    Attributes:
        id: stable name for generated clients.
        verbs: the rights of which one is needed, on the doer.
        request: a body that is taken.
        answers: bodies by status.
    """

    id: str
    verbs: tuple[Verb, ...] = ()
    request: Any = None
    answers: Mapping[int, Any] = field(default_factory=dict)


_HERE: Final = {"namespace": "agents", "doer": "planner"}
_BUNDLE: Final = {
    **_HERE,
    "runId": "r-81f3",
    "policy": "planner-v2",
    "arm": "candidate",
    "propensity": 0.1,
    "revision": 7,
    "durationMilliseconds": 812,
    "metrics": {"contradictions": 0, "grounding": 0.9},
    "gates": [{"name": "compiles", "passed": True}],
    "costs": {"costUSD": 0.02},
    "signals": {"compile": True, "tests": 0.97},
}
_SCORED: Final = {
    "runId": "r-81f3",
    "status": "accepted",
    "loss": 0.075,
    "terms": {"grounding": 0.1, "contradictions": 0.0},
    "weights": {"grounding": 3.0, "contradictions": 1.0},
    "contributions": {"grounding": 0.075, "contradictions": 0.0},
    "partial": False,
    "missing": [],
}
_REFUSED: Final = {
    "runId": "r-81f4",
    "status": "invalid",
    "problem": {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "metrics.grounding: is 1.5; send a rate from 0 to 1",
        "field": "metrics.grounding",
    },
}
_DRAWN: Final = {
    "runId": "r-81f3",
    "arm": "candidate",
    "policy": "planner-v2",
    "propensity": 0.1,
    "rollout": "UID.0",
    "revision": 7,
    "registered": True,
}
_CONTENT: Final = {
    "digest": "v1:5feceb66",
    "version": "2.0.0",
    "prompts": {"variants": [{"name": "base", "system": "Plan step by step."}]},
    "models": {},
    "hparams": {},
    "toolsAllowlist": ["search"],
}
_REWARD: Final = {
    "value": 0.97,
    "partial": True,
    "terms": [{"term": "tests", "value": 0.97, "score": 0.97, "weight": 1.0, "share": 0.97}],
    "missing": ["compile", "errors", "human"],
}
_RUN: Final = {
    **_HERE,
    **_SCORED,
    "status": "stored",
    "policy": "planner-v2",
    "arm": "candidate",
    "propensity": 0.1,
    "revision": 7,
    "rollout": "UID.0",
    "tenant": None,
    "crl": 0.3,
    "signals": [
        {
            "name": "tests",
            "value": 0.97,
            "key": "build-4711/tests",
            "origin": "Later",
            "source": "ci",
            "note": "",
            "observedAt": "2026-11-20T10:00:00Z",
            "receivedAt": "2026-11-20T10:00:04Z",
        }
    ],
    "reward": {**_REWARD, "weights": {"tests": 1.0}},
}
_SNAPSHOT: Final = {
    **_HERE,
    "doerUID": "UID",
    "revision": 7,
    "etag": "UID:7",
    "ttlSeconds": 287.2,
    "router": "SDK",
    "salt": "UID.0",
    "active": "planner-v1",
    "rollout": {
        "id": "UID.0",
        "canary": "planner-v2-1f3a",
        "control": "planner-v1",
        "candidate": "planner-v2",
        "candidates": ["planner-v2"],
        "percent": 10,
    },
    "shadow": None,
    "shares": [
        {"policy": "planner-v1", "percent": 90},
        {"policy": "planner-v2", "percent": 10},
    ],
    "policies": {"planner-v2": _CONTENT},
}
_CANARY: Final[Mapping[str, Any]] = {
    **_HERE,
    "name": "planner-v2-1f3a",
    "stage": "Canary",
    "step": 1,
    "generation": 1,
    "shares": [{"policy": "planner-v1", "percent": 90}, {"policy": "planner-v2", "percent": 10}],
    "recommendation": None,
    "waitingFor": "more runs",
    "shadow": None,
    "estimatedDecisionTime": "2026-11-20T18:00:00Z",
    "lowTraffic": None,
    "sampleRatio": None,
    "candidates": [
        {
            "name": "planner-v2",
            "attempt": 1,
            "runs": 120,
            "controlRuns": 1080,
            "loss": 0.21,
            "controlLoss": 0.25,
            "delta": -0.04,
            "runsStillNeeded": 300,
            "winRatePercent": None,
            "costDelta": None,
            "difference": {"estimate": -0.04, "low": -0.11, "high": 0.03},
            "evidence": None,
            "queries": [],
            "verdict": "Continue",
        }
    ],
    "history": [],
}
_HEALTH: Final[Mapping[str, Any]] = {
    "version": "0.1.0",
    "uptimeSeconds": 812.4,
    "components": {"database": {"status": "ok", "latencyMilliseconds": 1.2}},
}
_BATCH: Final = {"results": [_SCORED, _REFUSED]}
_SIGNALS: Final = {
    **_HERE,
    "signals": [
        {
            "name": "tests",
            "value": 0.97,
            "key": "build-4711/tests",
            "source": "ci",
            "observedAt": "2026-11-20T10:00:00Z",
        }
    ],
}
_TOLD: Final = {
    "runId": "r-81f3",
    "results": [{"key": "build-4711/tests", "status": "accepted"}],
    "reward": _REWARD,
}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /v1/assignments": Operation(
        id="assignRuns",
        verbs=(Verb.ROUTE,),
        request={**_HERE, "runs": [{"runId": "r-81f3", "unitId": "session-5"}]},
        answers={200: {"revision": 7, "assignments": [_DRAWN]}},
    ),
    "POST /v1/assignments:void": Operation(
        id="voidAssignments",
        verbs=(Verb.ROUTE,),
        request={**_HERE, "runIds": ["r-81f3"]},
        answers={200: {"voided": ["r-81f3"]}},
    ),
    "GET /v1/route": Operation(
        id="routeRun",
        verbs=(Verb.ROUTE,),
        answers={200: {**_DRAWN, "content": _CONTENT}},
    ),
    "GET /v1/snapshot": Operation(id="getSnapshot", verbs=(Verb.ROUTE,), answers={200: _SNAPSHOT}),
    "POST /v1/runs": Operation(
        id="reportRun",
        verbs=(Verb.INGEST,),
        request=_BUNDLE,
        answers={200: {**_SCORED, "status": "duplicate"}, 201: _SCORED},
    ),
    "POST /v1/runs:batch": Operation(
        id="reportRuns",
        verbs=(Verb.INGEST,),
        request={"runs": [_BUNDLE]},
        answers={200: _BATCH},
    ),
    "GET /v1/runs/{run_id}": Operation(id="getRun", verbs=(Verb.READ,), answers={200: _RUN}),
    "POST /v1/runs/{run_id}/signals": Operation(
        id="appendSignals",
        verbs=(Verb.INGEST,),
        request=_SIGNALS,
        answers={
            200: {**_TOLD, "results": [{"key": "build-4711/tests", "status": "duplicate"}]},
            201: _TOLD,
        },
    ),
    "POST /v1/shadows": Operation(
        id="openPairs",
        verbs=(Verb.ROUTE,),
        request={**_HERE, "rollout": "UID.0", "runIds": ["r-81f3"]},
        answers={200: {"opened": ["r-81f3"]}},
    ),
    "POST /v1/shadows:report": Operation(
        id="reportPairs",
        verbs=(Verb.INGEST,),
        request={"runs": [_BUNDLE]},
        answers={200: _BATCH},
    ),
    "GET /v1/policies/{name}": Operation(
        id="getPolicy",
        verbs=(Verb.READ, Verb.ROUTE),
        answers={
            200: {
                **_CONTENT,
                **_HERE,
                "name": "planner-v2",
                "parent": "planner-v1",
                "lineage": ["planner-v1"],
                "stage": "Canary",
            }
        },
    ),
    "GET /v1/canaries/{name}": Operation(
        id="getCanary", verbs=(Verb.READ,), answers={200: _CANARY}
    ),
    "GET /metrics": Operation(
        id="getMetrics", answers={200: 'learnops_build_info{version="0.1.0"} 1.0\n'}
    ),
    "GET /health": Operation(
        id="getHealth",
        answers={
            200: {**_HEALTH, "status": "ok"},
            503: {**_HEALTH, "status": "down", "components": {"database": {"status": "down"}}},
        },
    ),
    "GET /livez": Operation(id="getLivez", answers={200: {"status": "ok"}}),
    "GET /readyz": Operation(
        id="getReadyz",
        answers={
            200: {"status": "ok", "components": {"postgres": "ok"}, "ttlSeconds": 287.2},
            503: {
                "status": "not ready",
                "components": {"postgres": "the database does not answer"},
                "ttlSeconds": 0.0,
            },
        },
    ),
}

PARAMETERS: Final[Mapping[str, Any]] = {
    "namespace": "agents",
    "doer": "planner",
    "runId": "r-81f3",
    "run_id": "r-81f3",
    "unitId": "session-5",
    "name": "planner-v2",
    "waitSeconds": 25,
    "if-none-match": '"UID:7"',
}
