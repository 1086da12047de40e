"""The cache: three streams in any order, one truth."""

from typing import Any

from learnops.app.cache import ObjectCache
from learnops.domain.observed import Key

KEY = Key(namespace="agents", doer="planner")


def doer(name: str = "planner", *, uid: str = "d1", version: int = 1, **spec: Any) -> Any:
    return {
        "kind": "Doer",
        "metadata": {
            "namespace": "agents",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": f"2026-01-01T00:00:{version:02d}Z",
        },
        "spec": {"policyRef": {"name": "p"}, **spec},
    }


def policy(name: str = "p", *, of: str = "planner", uid: str = "p1", version: int = 1) -> Any:
    raw = doer(name, uid=uid, version=version)
    return {**raw, "kind": "Policy", "spec": {"doerRef": {"name": of}}}


def test_the_newer_version_wins_in_any_order() -> None:
    cache = ObjectCache()
    assert cache.put(doer(version=10)) == {KEY}
    assert cache.put(doer(version=9)) == set(), "9 is older than 10, though not as text"
    assert cache.put(doer(version=10)) == set(), "an echo is no news"
    found = cache.objects_of(KEY).doer
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "10"


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    cache = ObjectCache()
    cache.put(doer(version=1))
    assert cache.remove(doer(version=3)) == {KEY}
    assert cache.put(doer(version=4)) == set()
    assert cache.objects_of(KEY).doer is None


def test_a_deletion_does_not_touch_an_object_made_anew() -> None:
    cache = ObjectCache()
    cache.put(doer(uid="d1", version=1))
    cache.put(doer(uid="d2", version=5))
    cache.remove(doer(uid="d1", version=4))
    found = cache.objects_of(KEY).doer
    assert found is not None
    assert found["metadata"]["uid"] == "d2"


def test_an_object_that_moves_to_another_doer_concerns_both() -> None:
    cache = ObjectCache()
    cache.put(policy(of="planner", version=1))
    other = Key(namespace="agents", doer="coder")
    assert cache.put(policy(of="coder", version=2)) == {KEY, other}
    assert cache.objects_of(KEY).policies == ()
    assert len(cache.objects_of(other).policies) == 1
    assert not cache.knows(KEY)


def test_a_relist_drops_what_is_gone_and_keeps_what_came_meanwhile() -> None:
    cache = ObjectCache()
    cache.put(policy("gone", uid="g", version=1))
    cache.put(policy("kept", uid="k", version=2))
    before = cache.uids("Policy")
    cache.put(policy("new", uid="n", version=4))  # seen by the watch while the list was read
    listed = [policy("kept", uid="k", version=3)]
    assert cache.replace(before=before, listed=listed) == {KEY}
    names = {raw["metadata"]["name"] for raw in cache.objects_of(KEY).policies}
    assert names == {"kept", "new"}


def test_the_oldest_doer_owns_a_route() -> None:
    cache = ObjectCache()
    traffic = {"router": "GatewayAPI", "routeRef": {"name": "agents"}}
    cache.put(doer("first", uid="1", version=1, traffic=traffic))
    cache.put(doer("second", uid="2", version=2, traffic=traffic))
    cache.put(doer("sdk", uid="3", version=3))
    assert cache.route_owner(Key(namespace="agents", doer="second")) == "first"
    assert cache.route_owner(Key(namespace="agents", doer="first")) is None
    assert cache.route_owner(Key(namespace="agents", doer="sdk")) is None
    assert cache.route_owner(Key(namespace="agents", doer="missing")) is None


def test_the_highest_fence_is_of_any_object() -> None:
    cache = ObjectCache()
    assert cache.highest_fence() == 0
    cache.put({**doer(version=1), "status": {"fence": 3}})
    cache.put({**policy(version=2), "status": {"fence": 7}})
    assert cache.highest_fence() == 7
