"""Objects of one doer as the API server would show them, with a canary that has traffic."""

from typing import Any

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.domain.observed import Key

KEY = Key(namespace="agents", doer="planner")
META = {
    "namespace": "agents",
    "generation": 1,
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def doer(*, revision: int = 5, percent: int = 10, salt: str = "c-uid.0") -> Doer:
    """Planner: v1 is active, v2 gets `percent`."""
    return Doer.model_validate(
        {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": "Doer",
            "metadata": {**META, "name": "planner", "uid": "d-uid"},
            "spec": {"policyRef": {"name": "v2"}, "crl": {"weights": {"grounding": "1"}}},
            "status": {
                "traffic": {
                    "revision": revision,
                    "salt": salt,
                    "active": "v1",
                    "canary": "c1",
                    "shares": [
                        {"policy": "v1", "percent": 100 - percent},
                        {"policy": "v2", "percent": percent},
                    ],
                }
            },
        }
    )


def canary(
    *,
    state: str | None = None,
    source: str = "Prometheus",
    steps: tuple[int, ...] = (10, 50),
    **analysis: Any,
) -> Any:
    """The canary of v2; `state` is its evidenceState."""
    return CanaryDeployment.model_validate(
        {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": "CanaryDeployment",
            "metadata": {**META, "name": "c1", "uid": "c-uid"},
            "spec": {
                "doerRef": {"name": "planner"},
                "candidateRefs": [{"name": "v2"}],
                "strategy": {"canary": {"steps": list(steps)}},
                "analysis": {"source": source, "maxStalenessSeconds": 60, **analysis},
            },
            "status": {
                "stage": "Canary",
                "candidates": [{"name": "v2", "attempt": 1}],
                "evidenceState": state,
            },
        }
    )
