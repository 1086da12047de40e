"""Objects of the simulated world, as a person would write them."""

from datetime import UTC, datetime
from typing import Any

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy

NAMESPACE = "agents"
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
GATEWAY = {
    "router": "GatewayAPI",
    "routeRef": {"name": "planner"},
    "backends": ["blue", "green"],
}
ANALYSIS: dict[str, Any] = {"minCandidateRuns": 50, "deadlineSeconds": 86_400}
STRATEGY = {"canary": {"steps": [5, 25, 50], "gate": "Evidence", "stepSeconds": 600}}


def metadata(name: str, **more: Any) -> dict[str, Any]:
    """Metadata as the API server completes it."""
    return {"name": name, "namespace": NAMESPACE, "creationTimestamp": START, "uid": name, **more}


def doer(
    *, policy: str, gateway: bool = False, crl: dict[str, Any] | None = None, **rollout: Any
) -> Doer:
    """The doer `planner`; its runs are scored by grounding unless `crl` says otherwise."""
    spec = {
        "policyRef": {"name": policy},
        "crl": {"weights": {"grounding": "1"}} if crl is None else crl,
        "traffic": GATEWAY if gateway else {},
        "rollout": {"strategy": STRATEGY, "analysis": analysis(gateway=gateway), **rollout},
    }
    return Doer.model_validate({"metadata": metadata("planner"), "spec": spec})


def analysis(*, gateway: bool = False, **more: Any) -> dict[str, Any]:
    """A day's deadline, fifty candidate runs; a gateway is judged from Prometheus."""
    return {**ANALYSIS, "source": "Prometheus" if gateway else "RunLog", **more}


def policy(name: str, *, text: str | None = None, **spec: Any) -> Policy:
    """A policy of the doer `planner`; its prompt is its name unless `text` is given."""
    system = text if text is not None else f"You are {name}."
    return Policy.model_validate(
        {
            "metadata": metadata(name),
            "spec": {
                "doerRef": {"name": "planner"},
                "version": "1.0.0",
                "prompts": {"variants": [{"name": "base", "system": system}]},
                **spec,
            },
        }
    )


def canary(name: str, *, candidate: str, **spec: Any) -> CanaryDeployment:
    """A canary that a person made."""
    return CanaryDeployment.model_validate(
        {
            "metadata": metadata(name),
            "spec": {
                "doerRef": {"name": "planner"},
                "candidateRefs": [{"name": candidate}],
                "strategy": STRATEGY,
                "analysis": analysis(),
                **spec,
            },
        }
    )
