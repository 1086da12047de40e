"""A canary with a bound on its latency, and the gauge that Prometheus knows it from."""

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    second_policy,
    serves,
    wait_status,
)

P95 = {"name": "p95", "promQL": "max by (namespace, doer, policy) (latency)", "max": "2.5"}


class Latency:
    """A gauge by policy that the stack's Prometheus scrapes; empty: no series."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.of: dict[str, float] = {}

    def exposition(self) -> bytes:
        names = f'namespace="{self._namespace}",doer="planner"'
        told = [f'latency{{{names},policy="{name}"}} {one}\n' for name, one in self.of.items()]
        return "".join(told).encode()


def watched(objects: Objects, **analysis: object) -> None:
    """A canary of planner-v2 with a bound on its latency, and its first traffic."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**{**HALF, "analysis": {**HALF["analysis"], "guardrails": [P95], **analysis}})
    serves(objects, "planner-v1", "planner-v2")


def held(objects: Objects, reason: str, *, words: str = "") -> Json:
    """Wait until the canary holds with a reason, in these words; its status."""
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: (
            condition(one, "Reconciling") == ("True", reason) and words in one["waitingFor"]
        ),
        what=f"the canary to hold with {reason}",
    )
