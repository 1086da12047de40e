"""Jobs for the tests of the local node, and waiting for what becomes of them."""

from typing import Any

from testbed.kubeapi import KubeApi
from testbed.waiting import wait_until

Json = dict[str, Any]


class Jobs:
    """Jobs of one namespace."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._batch = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.core = f"/api/v1/namespaces/{namespace}"
        self.namespace = namespace

    def create(
        self,
        name: str,
        script: str,
        *,
        pod: Json | None = None,
        job: Json | None = None,
        **own: Any,
    ) -> None:
        """A Job that runs a shell script; ``own`` are fields of the container."""
        command = {"name": "main", "image": "local", "command": ["sh", "-c", script]}
        spec = {"restartPolicy": "Never", "containers": [command | own], **(pod or {})}
        body = {"backoffLimit": 0, "template": {"spec": spec}, **(job or {})}
        self._api.create(self._batch, {"metadata": {"name": name}, "spec": body})

    def change(self, name: str, spec: Json) -> None:
        """Merge into a Job's spec."""
        self._api.merge(f"{self._batch}/{name}", {"spec": spec})

    def delete(self, name: str) -> None:
        """Delete a Job and, in the background, its pods."""
        self._api.delete(f"{self._batch}/{name}", body={"propagationPolicy": "Background"})

    def pods(self, name: str) -> list[Json]:
        """The Job's pods, oldest first."""
        query = {"labelSelector": f"batch.kubernetes.io/job-name={name}"}
        found: list[Json] = self._api.get(f"{self.core}/pods", query=query)["items"]
        return sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def pod(self, name: str) -> Json:
        """The Job's first pod, awaited."""
        return wait_until(
            lambda: self.pods(name), what=f"a pod of Job {name}", deadline_seconds=30
        )[0]

    def wait_condition(self, name: str, kind: str) -> Json:
        """Wait until the Job has a condition that is true, and return that."""

        def holds() -> Json | None:
            status = self._api.get(f"{self._batch}/{name}").get("status", {})
            conditions = status.get("conditions", [])
            return next(
                (c for c in conditions if c["type"] == kind and c["status"] == "True"), None
            )

        return wait_until(
            holds,
            what=f"Job {name} to be {kind}",
            deadline_seconds=60,
            explain=lambda: str([pod["status"] for pod in self.pods(name)]),
        )

    def wait_phase(self, name: str, phase: str) -> Json:
        """Wait until the Job's first pod is in a phase, and return the pod."""

        def there() -> Json | None:
            return next((p for p in self.pods(name)[:1] if p["status"]["phase"] == phase), None)

        return wait_until(
            there,
            what=f"the pod of {name} to be {phase}",
            deadline_seconds=30,
            explain=lambda: str([pod["status"] for pod in self.pods(name)]),
        )


def terminated(pod: Json) -> Json:
    """How the pod's container ended."""
    state: Json = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


def condition(pod: Json, kind: str) -> Json:
    """One of the pod's conditions."""
    return next(c for c in pod["status"]["conditions"] if c["type"] == kind)
