"""A rollout on an API server behind a `FaultProxy`: small enough to tell what a fault did to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.faultproxy import FaultProxy
from testbed.kubeapi import Json
from testbed.ports import LOOPBACK, free_port
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.databases import migrated_database
from tests.integration.objects import Objects
from tests.integration.operator.process import OperatorProcess

KINDS = ("doers", "policies", "canarydeployments")
# Nobody runs: a rollout begins at its first step and stays there.
_ROLLOUT = {
    "strategy": {"canary": {"steps": [10, 50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 60, "minCandidateRuns": 20},
}


@dataclass(frozen=True, kw_only=True)
class Proxied:
    """One operator that knows the API server by the proxy alone, and what users do beside it."""

    proxy: FaultProxy
    operator: OperatorProcess
    objects: Objects

    def serve(self, doer: str) -> Json:
        """Apply a doer, its policy and the next one; the doer's traffic."""
        self.objects.doer(doer, policy=f"{doer}-v1", rollout=_ROLLOUT)
        self.objects.policy(f"{doer}-v1", doer=doer)
        self.wait(lambda: self.stage("policies", f"{doer}-v1") == "Active", what="the first policy")
        return self.traffic(doer)

    def follow(self, doer: str) -> None:
        """Apply a second policy, and change policyRef to it: what a merge does."""
        parent = {"name": f"{doer}-v1"}
        self.objects.policy(f"{doer}-v2", doer=doer, version="2.0.0", parentRef=parent)
        change = {"spec": {"policyRef": {"name": f"{doer}-v2"}}}
        self.objects.api.merge(self.objects.path("doers", doer), change)

    def wait_rollout(self, doer: str, *, seconds: float = 60) -> Json:
        """Wait for the first step of the rollout, on each object; the canary."""
        self.wait(
            lambda: (
                len(self.traffic(doer)["shares"]) == 2
                and self.stage("policies", f"{doer}-v2") == "Canary"
                and self.canary(doer).get("status", {}).get("stage") == "Canary"
            ),
            what=f"the rollout of {doer}",
            seconds=seconds,
        )
        return self.canary(doer)

    def wait_end(self, doer: str, *, seconds: float = 60) -> None:
        """Wait for all traffic on one policy."""
        self.wait(
            lambda: len(self.traffic(doer)["shares"]) == 1,
            what=f"{doer} to serve one policy",
            seconds=seconds,
        )

    def check_one_step(self, doer: str, *, before: Json) -> None:
        """The rollout took its first step, and took it once."""
        traffic = self.traffic(doer)
        assert traffic["revision"] == before["revision"] + 1
        assert {one["policy"]: one["percent"] for one in traffic["shares"]} == {
            f"{doer}-v1": 90,
            f"{doer}-v2": 10,
        }
        percents = [one["percent"] for one in self.canary(doer)["status"]["history"]]
        assert percents.count(10) == 1

    def leave(self) -> None:
        """Delete the doers while somebody is there to take the finalizers off."""
        doers = self.objects.path("doers")
        self.objects.api.delete(doers)
        self.wait(lambda: not self.objects.api.get(doers)["items"], what="the doers to be gone")

    def traffic(self, doer: str) -> Json:
        """What the doer serves."""
        found: Json = self.objects.get("doers", doer)["status"]["traffic"]
        return found

    def canary(self, doer: str) -> Json:
        """The doer's only canary, empty where there is none."""
        found = self.objects.api.get(self.objects.path("canarydeployments"))["items"]
        own = [one for one in found if one["spec"]["doerRef"]["name"] == doer]
        assert len(own) <= 1
        return own[0] if own else {}

    def stage(self, plural: str, name: str) -> str:
        """The stage that an object tells."""
        told: str = self.objects.get(plural, name).get("status", {}).get("stage", "")
        return told

    def wait(self, check: Callable[[], bool], *, what: str, seconds: float = 60) -> None:
        """Wait until it is true; a failure shows the end of the operator's log."""
        wait_until(
            check, what=what, deadline_seconds=seconds, explain=self.operator.process.log_tail
        )


@contextmanager
def proxied(stack: Stack, kubeconfig: Path) -> Iterator[Proxied]:
    """An active operator behind a proxy, with a namespace and a run log of its own."""
    database = migrated_database(stack.postgres)
    objects = Objects(api=stack.plane.api, namespace=stack.namespace())
    with FaultProxy(stack.plane, kubeconfig) as proxy:
        operator = OperatorProcess(
            stack=stack,
            kubeconfig=proxy.kubeconfig,
            namespace=objects.namespace,
            database=database,
            url=f"http://{LOOPBACK}:{free_port()}",
        )
        operator.start()
        try:
            operator.wait_phase("active")
            world = Proxied(proxy=proxy, operator=operator, objects=objects)
            yield world
            world.leave()
        finally:
            operator.stop()
    stack.plane.delete_namespace(objects.namespace)
