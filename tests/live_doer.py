"""A doer with a live canary, as the operator leaves it: objects, traffic, the rollout's row."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.domain.observed import Key
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout, Tried
from testbed.kubeapi import Json, KubeApi

SALT = "uid-of-the-canary.0"
WEIGHTS = {"grounding": "3", "contradictions": "1"}


@dataclass(frozen=True)
class LiveDoer:
    """One doer; the tests do to it what the operator does, where only the api runs."""

    kube: KubeApi
    namespace: str
    database: str

    @property
    def base(self) -> str:
        return f"/apis/learnops.dev/v1alpha1/namespaces/{self.namespace}"

    def setup(self, *, percent: int = 50, maturation_seconds: int = 600) -> None:
        """Doer `planner` with policies v1 (Active) and v2 in a canary at `percent`."""
        spec: Json = {"policyRef": {"name": "planner-v1"}, "crl": {"weights": WEIGHTS}}
        self.create("doers", "Doer", "planner", spec)
        for version in (1, 2):
            self.create_policy(version)
        self.open(maturation_seconds=maturation_seconds)
        self.traffic(revision=2, percent=percent)

    def create_policy(self, version: int) -> None:
        """`planner-vN`."""
        content = {"variants": [{"name": "base", "system": f"Plan, version {version}."}]}
        spec = {
            "doerRef": {"name": "planner"},
            "version": f"{version}.0.0",
            "prompts": content,
            "toolsAllowlist": ["search"],
        }
        self.create("policies", "Policy", f"planner-v{version}", spec)

    def create(self, plural: str, kind: str, name: str, spec: Json) -> Json:
        """An object on the real API server."""
        body = {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        return self.kube.create(f"{self.base}/{plural}", body)

    def traffic(self, *, revision: int, percent: int, candidate: str = "planner-v2") -> None:
        """Write `Doer.status.traffic`; percent 0: no canary is live."""
        shares: list[dict[str, Any]] = [{"policy": "planner-v1", "percent": 100 - percent}]
        told: Json = {"revision": revision, "active": "planner-v1", "shares": shares}
        if percent:
            shares.append({"policy": candidate, "percent": percent})
            told |= {"salt": SALT, "canary": "planner-canary"}
        else:
            told |= {"salt": None, "canary": None}
        self.status("doers", "planner", {"traffic": told})

    def behind_gateway(self, *, settle_seconds: int) -> None:
        """The doer's runs come through an HTTPRoute."""
        traffic = {
            "router": "GatewayAPI",
            "routeRef": {"name": "planner"},
            "backends": ["planner-a", "planner-b"],
            "settleSeconds": settle_seconds,
        }
        spec = {"traffic": traffic, "rollout": {"analysis": {"source": "Prometheus"}}}
        self.kube.merge(f"{self.base}/doers/planner", {"spec": spec})

    def status(self, plural: str, name: str, status: Json) -> None:
        """Merge into an object's status."""
        self.kube.merge(f"{self.base}/{plural}/{name}/status", {"status": status})

    def open(self, *, maturation_seconds: int = 600) -> None:
        """The rollout's row in the run log."""
        opened = OpenRollout(
            rollout=SALT,
            canary="planner-canary",
            canary_uid="uid-of-the-canary",
            control="planner-v1",
            candidates=(Tried(name="planner-v2", identity="v1:two", attempt=1),),
            percent=10,
            maturation_seconds=maturation_seconds,
            crl={"weights": WEIGHTS},
        )
        asyncio.run(self._write(opened))

    def close(self) -> None:
        """The rollout has ended."""
        asyncio.run(self._write(CloseRollout(rollout=SALT, outcome="Promoted")))

    def reweigh(self, *, number: int, **weights: str) -> None:
        """The doer's weights change, and the operator begins a generation for it."""
        crl = {"weights": weights}
        path = f"{self.base}/doers/planner"
        unset = dict.fromkeys(WEIGHTS)
        self.kube.merge(path, {"spec": {"crl": {"weights": {**unset, **weights}}}})
        again = OpenGeneration(rollout=SALT, number=number, crl=crl, candidates=("planner-v2",))
        asyncio.run(self._write(again))

    async def _write(self, action: OpenRollout | OpenGeneration | CloseRollout) -> None:
        pool = make_pool(self.database, application="test", max_size=1)
        assert isinstance(pool.kwargs, dict)
        # Longer than the product's: the machine may just have started a server of its own.
        pool.kwargs["connect_timeout"] = pool.timeout = 60
        await pool.open()
        try:
            log = PostgresRunLog(pool)
            key = Key(namespace=self.namespace, doer="planner")
            if isinstance(action, OpenRollout):
                await log.open_rollout(key=key, rollout=action)
            elif isinstance(action, OpenGeneration):
                await log.open_generation(key=key, generation=action)
            else:
                await log.close_rollout(key=key, rollout=action)
        finally:
            await pool.close()

    def renew_lease(self, *, create: bool = False, holder: str = "operator-1") -> None:
        """The operator's heartbeat."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": now}
        if create:
            self.kube.create(path, {"metadata": {"name": "operator"}, "spec": spec})
        else:
            self.kube.merge(f"{path}/operator", {"spec": spec})

    def bundle(self, run_id: str, **changes: object) -> dict[str, object]:
        """What an agent reports; loss 0.25 x grounding's shortfall and so on."""
        return {
            "namespace": self.namespace,
            "doer": "planner",
            "runId": run_id,
            "policy": "planner-v1",
            "metrics": {"grounding": 0.8, "contradictions": 0},
        } | changes
