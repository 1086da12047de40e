"""A doer behind a gateway, and the HTTPRoute that its share is in."""

from datetime import UTC, datetime

import pytest

from learnops.adapters.gateway import GatewayRoute
from learnops.adapters.kube.rest import RestClient
from learnops.api.doer import Doer
from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.gateway.world import make_route, make_service, refs, wait_answered


@pytest.fixture
def adapter(rest: RestClient) -> GatewayRoute:
    """With the operator's own rights."""
    return GatewayRoute(rest=rest)


@pytest.fixture
def doer(namespace: str) -> Doer:
    return Doer.model_validate(
        {
            "metadata": {
                "name": "judge",
                "namespace": namespace,
                "uid": "u",
                "creationTimestamp": datetime.now(UTC),
            },
            "spec": {
                "policyRef": {"name": "judge-v1"},
                "crl": {"weights": {"gatePassRate": "1"}},
                "rollout": {"analysis": {"source": "Prometheus"}},
                "traffic": {
                    "router": "GatewayAPI",
                    "routeRef": {"name": "judge"},
                    "backends": ["judge-a", "judge-b"],
                },
            },
        }
    )


def rule(first: int | None = 100, second: int | None = 0) -> Json:
    return {"backendRefs": refs(("judge-a", first), ("judge-b", second))}


@pytest.fixture
def route(stack: Stack, namespace: str) -> str:
    """An accepted route whose two Services exist."""
    for name in ("judge-a", "judge-b"):
        make_service(stack, namespace, name)
    path = make_route(stack, namespace, [rule()])
    wait_answered(stack, path)
    return path
