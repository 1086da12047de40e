"""What a router needs to know of a doer, versioned, for the long poll."""

import asyncio
from dataclasses import dataclass
from typing import Any

from learnops.api.policy import Policy
from learnops.api.served import TrafficStatus
from learnops.server.assigning import traffic_of
from learnops.server.heartbeat import Heartbeat
from learnops.server.problems import unavailable
from learnops.server.state import State, live_rollout


@dataclass(frozen=True, kw_only=True)
class SnapshotView:
    """A snapshot and its version; `body` is None where the caller has this version already.

    `current` is False where there is a newer one that cannot be told yet: nobody vouches for the
    caller's, and its time to live must not be extended.
    """

    etag: str
    ttl_seconds: float | None
    body: dict[str, Any] | None
    current: bool = True


class Snapshots:
    """Serves snapshots. `closing` ends every long poll at once."""

    def __init__(self, *, state: State, heartbeat: Heartbeat) -> None:
        self._state = state
        self._heartbeat = heartbeat
        self.closing = False

    async def get(
        self, *, namespace: str, doer: str, known: str | None, wait_seconds: float
    ) -> SnapshotView:
        """The snapshot as soon as it differs from `known`, or after the wait.

        A revision whose policies were not all seen yet is not served: what is there before stays.
        Raises Problem: 404 (no such doer, no traffic yet), 503 (never seen whole).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        while True:
            view, missing = self._view(namespace=namespace, doer=doer)
            # After the look, which raises for a doer that does not exist, and in the same step.
            changed = self._state.change_of((namespace, doer))
            if view is not None and view.etag != known:
                return view
            if self.closing or loop.time() >= deadline:
                return self._unchanged(known=known, view=view, missing=missing)
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                continue

    def _unchanged(
        self, *, known: str | None, view: SnapshotView | None, missing: str
    ) -> SnapshotView:
        if known is None or (view is None and not known):
            raise unavailable(f"policy {missing!r} was not seen yet")
        ttl = self._heartbeat.remaining()
        return SnapshotView(etag=known, ttl_seconds=ttl, body=None, current=view is not None)

    def _view(self, *, namespace: str, doer: str) -> tuple[SnapshotView | None, str]:
        """What is served now; None with the name of a policy of it that was not seen yet."""
        found, traffic = traffic_of(self._state, namespace=namespace, doer=doer)
        policies: dict[str, Any] = {}
        for name in _served(traffic):
            policy = self._state.policy((namespace, name))
            if policy is None:
                return None, name
            policies[name] = content(policy)
        etag = f"{found.metadata.uid}:{traffic.revision}"
        ttl = self._heartbeat.remaining()
        body = {
            "namespace": namespace,
            "doer": doer,
            "doerUID": found.metadata.uid,
            "revision": traffic.revision,
            "etag": etag,
            "ttlSeconds": None if ttl is None else round(ttl, 3),
            "router": found.spec.traffic.router.value,
            "salt": traffic.salt,
            "active": traffic.active,
            "rollout": _rollout(traffic),
            "assignment": traffic.assignment and traffic.assignment.to_wire(),
            "shadow": traffic.shadow and {"rollout": traffic.salt, "policy": traffic.shadow},
            "shares": [share.to_wire() for share in traffic.shares],
            "policies": policies,
        }
        return SnapshotView(etag=etag, ttl_seconds=ttl, body=body), ""


def _served(traffic: TrafficStatus) -> list[str]:
    """The policies that runs may be given, the one in shadow included."""
    beside = set() if traffic.shadow is None else {traffic.shadow}
    return sorted({traffic.active, *(share.policy for share in traffic.shares)} | beside)


def _rollout(traffic: TrafficStatus) -> dict[str, Any] | None:
    rollout = live_rollout(traffic)
    if rollout is None:
        return None
    return {
        "id": rollout.id,
        "canary": rollout.canary,
        "control": rollout.control,
        "candidate": rollout.candidates[0],  # all that an older SDK reads
        "candidates": list(rollout.candidates),
        "percent": rollout.percent,
    }


def content(policy: Policy) -> dict[str, Any]:
    """What an agent runs with."""
    spec = policy.spec.to_wire()
    return {
        "digest": policy.status.digest,
        "version": policy.spec.version,
        "prompts": spec.get("prompts", {}),
        "models": spec.get("models", {}),
        "hparams": spec.get("hparams", {}),
        "toolsAllowlist": spec.get("toolsAllowlist", []),
    }
