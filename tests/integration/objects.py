"""Objects as users write them, and what is on the server."""

from dataclasses import dataclass
from typing import Any

from testbed.kubeapi import Json, KubeApi

_GROUP = "/apis/learnops.dev/v1alpha1"
_KINDS = {"doers": "Doer", "policies": "Policy", "canarydeployments": "CanaryDeployment"}


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Creates, reads and deletes objects of one namespace as admin."""

    api: KubeApi
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        base = f"{_GROUP}/namespaces/{self.namespace}/{plural}"
        return f"{base}/{name}" if name else base

    def create(self, plural: str, name: str, spec: Json, **metadata: Any) -> Json:
        body = {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": _KINDS[plural],
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        return self.api.create(self.path(plural), body)

    def doer(self, name: str = "planner", *, policy: str = "planner-v1", **spec: Any) -> Json:
        weights = {"gatePassRate": "1", "contradictions": "1"}
        return self.create(
            "doers", name, {"policyRef": {"name": policy}, "crl": {"weights": weights}, **spec}
        )

    def policy(self, name: str = "planner-v1", *, doer: str = "planner", **spec: Any) -> Json:
        prompt = {"variants": [{"name": "base", "system": f"You are {name}."}]}
        return self.create(
            "policies",
            name,
            {"doerRef": {"name": doer}, "version": "1.0.0", "prompts": prompt, **spec},
        )

    def canary(self, name: str = "c1", *, candidate: str = "planner-v2", **spec: Any) -> Json:
        return self.create(
            "canarydeployments",
            name,
            {"doerRef": {"name": "planner"}, "candidateRefs": [{"name": candidate}], **spec},
        )

    def get(self, plural: str, name: str) -> Json:
        return self.api.get(self.path(plural, name))

    def delete(self, plural: str, name: str) -> None:
        self.api.delete(self.path(plural, name))

    def events(self, name: str) -> list[Json]:
        """The Events about an object, oldest first."""
        found = self.api.get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")
        about = [one for one in found["items"] if one["regarding"]["name"] == name]
        return sorted(about, key=lambda one: str(one["eventTime"]))
