"""What the api keeps of the API server's objects, and what it tells of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from learnops.server.heartbeat import Heartbeat
from learnops.server.problems import Problem
from learnops.server.snapshot import Snapshots
from learnops.server.state import State

NAME = ("agents", "planner")


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def metadata(name: str) -> dict[str, Any]:
    return {
        "namespace": "agents",
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


def doer(*, revision: int = 2, active: str = "planner-v1", **status: Any) -> dict[str, Any]:
    shares = [{"policy": active, "percent": 100}]
    traffic = {"revision": revision, "active": active, "shares": shares}
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "Doer",
        "metadata": metadata("planner"),
        "spec": {"policyRef": {"name": active}, "crl": {"weights": {"grounding": "1"}}},
        "status": {"traffic": traffic, **status},
    }


def policy(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "Policy",
        "metadata": metadata(name),
        "spec": {"doerRef": {"name": "planner"}, "version": "1.0.0"},
    }


def served() -> tuple[State, Snapshots]:
    """A doer with its policy, a heartbeat that is 100 s from its end."""
    state = State(clock=Clock())
    heartbeat = Heartbeat(clock=Clock(), ttl_seconds=100)
    renewed = Clock().now().isoformat()
    heartbeat.put({"spec": {"holderIdentity": "operator-1", "renewTime": renewed}})
    state.policies.put(policy("planner-v1"))
    state.doers.put(doer())
    return state, Snapshots(state=state, heartbeat=heartbeat)


async def test_a_question_about_nobody_leaves_nothing_behind() -> None:
    state, snapshots = served()
    for number in range(100):
        with pytest.raises(Problem, match="no Doer"):
            await snapshots.get(namespace="agents", doer=f"d-{number}", known="", wait_seconds=30)
    assert state.waiters() == 0


async def test_a_doer_that_can_no_longer_be_read_is_not_served_as_it_was() -> None:
    state, _snapshots = served()
    assert state.doers.get(NAME) is not None
    state.doers.put(doer(revision=3) | {"spec": {"phase": "plan"}})
    assert state.doers.get(NAME) is None


async def test_an_older_version_gets_no_more_time_to_live() -> None:
    state, snapshots = served()
    known = (
        await snapshots.get(namespace="agents", doer="planner", known=None, wait_seconds=0)
    ).etag
    same = await snapshots.get(namespace="agents", doer="planner", known=known, wait_seconds=0)
    assert (same.body, same.current, same.ttl_seconds) == (None, True, 100)
    state.doers.put(doer(revision=3, active="planner-v2"))  # a policy that was not seen yet
    older = await snapshots.get(namespace="agents", doer="planner", known=known, wait_seconds=0)
    assert (older.body, older.etag, older.current) == (None, known, False)
