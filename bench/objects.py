"""Doers, policies and their statuses, as a user with kubectl would make and read them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from testbed.kubeapi import Json, KubeApi
from testbed.waiting import wait_until

_GROUP = "/apis/learnops.dev/v1alpha1"
_KINDS = {"doers": "Doer", "policies": "Policy"}
_CONNECTIONS = 8

# One step, and no end to it but a roll-back.
ROLLOUT: Json = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"minCandidateRuns": 1_000_000, "maxRuns": 10_000_000, "maxStalenessSeconds": 10},
}


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects of one namespace."""

    kube: KubeApi
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        """The REST path of a collection or an object."""
        base = f"{_GROUP}/namespaces/{self.namespace}/{plural}"
        return f"{base}/{name}" if name else base

    def doer(self, name: str, *, source: str = "RunLog") -> None:
        """A doer whose loss is 1 - grounding, and its first policy ``<name>-v1``."""
        analysis = {**ROLLOUT["analysis"], "source": source}
        spec = {
            "policyRef": {"name": f"{name}-v1"},
            "crl": {"weights": {"grounding": "1"}},
            "rollout": {**ROLLOUT, "analysis": analysis},
        }
        self._create("doers", name, spec)
        self.policy(name, "v1")

    def doers(self, names: Iterable[str], *, source: str = "RunLog") -> None:
        """Many, over several connections."""
        self.in_parallel(lambda name: self.doer(name, source=source), names)

    def policy(self, doer: str, version: str) -> str:
        """``<doer>-<version>``, with content that no other policy has; its name."""
        name = f"{doer}-{version}"
        prompts = {"variants": [{"name": "base", "system": f"You are {name}."}]}
        spec = {"doerRef": {"name": doer}, "version": "1.0.0", "prompts": prompts}
        self._create("policies", name, spec)
        return name

    def start_canary(self, doer: str, version: str) -> None:
        """What a merge of a new policy does: the policy, then the doer's policyRef."""
        name = self.policy(doer, version)
        self.kube.merge(self.path("doers", doer), {"spec": {"policyRef": {"name": name}}})

    def start_canaries(self, doers: Iterable[str], version: str) -> None:
        """Many, over several connections."""
        self.in_parallel(lambda doer: self.start_canary(doer, version), doers)

    def in_parallel(self, work: Callable[[str], None], names: Iterable[str]) -> None:
        """``work`` on each name."""
        with ThreadPoolExecutor(max_workers=_CONNECTIONS) as pool:
            list(pool.map(work, names))

    def all(self, plural: str) -> list[Json]:
        """Every object of a kind."""
        items: list[Json] = self.kube.get(self.path(plural))["items"]
        return items

    def wait_for(
        self, plural: str, accept: Callable[[Json], bool], *, count: int, what: str
    ) -> None:
        """Wait until so many objects of a kind are as ``accept`` wants them."""
        wait_until(
            lambda: sum(accept(item) for item in self.all(plural)) >= count,
            what=what,
            deadline_seconds=120,
            interval_seconds=0.5,
        )

    def wait_served(self, count: int) -> None:
        """Wait until so many doers serve a policy."""
        self.wait_for("doers", served, count=count, what=f"{count} doers to serve a policy")

    def wait_live(self, count: int) -> None:
        """Wait until so many canaries have traffic."""
        self.wait_for("doers", live, count=count, what=f"{count} live canaries")

    def _create(self, plural: str, name: str, spec: Json) -> None:
        body: dict[str, Any] = {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": _KINDS[plural],
            "metadata": {"name": name},
            "spec": spec,
        }
        self.kube.create(self.path(plural), body)


def served(doer: Json) -> bool:
    """Whether a doer serves a policy."""
    return bool(doer.get("status", {}).get("traffic"))


def live(doer: Json) -> bool:
    """Whether a canary of the doer has traffic."""
    traffic = doer.get("status", {}).get("traffic") or {}
    return bool(traffic.get("canary")) and len(traffic.get("shares", ())) == 2
