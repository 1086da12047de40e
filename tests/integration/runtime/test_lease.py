"""One active operator: the Lease on the real API server, time from a fake clock."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.lease import FENCE_ANNOTATION, Lease, LeaseConfig, LeaseLostError
from learnops.adapters.kube.rest import RestClient
from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.unit.app.fakes import FakeClock

NAME = "learnops-operator"


@pytest_asyncio.fixture
async def rest(stack: Stack) -> AsyncIterator[RestClient]:
    """As admin: the operator's Role is for one Lease, and each test has its own."""
    async with await connect(kubeconfig=stack.plane.kubeconfig) as api:
        yield RestClient(api=api)


def contender(rest: RestClient, clock: FakeClock, namespace: str, identity: str) -> Lease:
    config = LeaseConfig(namespace=namespace, name=NAME, identity=identity, duration_seconds=15)
    return Lease(rest=rest, clock=clock, config=config)


def path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"


def record(stack: Stack, namespace: str) -> Json:
    return stack.plane.api.get(path(namespace))


async def no_objects() -> int:
    return 0


async def test_only_one_of_two_holds_it(rest: RestClient, namespace: str) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    assert await one.try_acquire(seen_fence=no_objects) == 1
    assert await two.try_acquire(seen_fence=no_objects) is None
    assert one.held()
    assert not two.held()


async def test_a_standby_takes_over_only_when_the_record_stood_still(
    rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    await one.try_acquire(seen_fence=no_objects)
    for _ in range(5):
        assert await two.try_acquire(seen_fence=no_objects) is None
        clock.advance(6)
        await one.renew()
    assert await two.try_acquire(seen_fence=no_objects) is None
    clock.advance(14)
    assert await two.try_acquire(seen_fence=no_objects) is None
    assert not one.held(), "the holder gives up before another may take over"
    clock.advance(2)
    assert await two.try_acquire(seen_fence=no_objects) == 2
    with pytest.raises(LeaseLostError):
        await one.renew()


async def test_a_holder_that_was_overtaken_learns_it_from_its_next_renewal(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one = contender(rest, clock, namespace, "one")
    await one.try_acquire(seen_fence=no_objects)
    stack.plane.api.merge(path(namespace), {"spec": {"holderIdentity": "two"}})
    with pytest.raises(LeaseLostError, match="held by two"):
        await one.renew()
    assert not one.held()


async def test_somebody_else_s_annotation_costs_nothing(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one = contender(rest, clock, namespace, "one")
    await one.try_acquire(seen_fence=no_objects)
    note = {"metadata": {"annotations": {"example.com/note": "seen"}}}
    stack.plane.api.merge(path(namespace), note)
    await one.renew()
    await one.renew()
    annotations = record(stack, namespace)["metadata"]["annotations"]
    assert annotations == {FENCE_ANNOTATION: "1", "example.com/note": "seen"}


async def test_the_wall_clock_does_not_matter(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    await one.try_acquire(seen_fence=no_objects)
    long_ago = {"spec": {"renewTime": "2001-01-01T00:00:00.000000Z"}}
    stack.plane.api.merge(path(namespace), long_ago)
    assert await two.try_acquire(seen_fence=no_objects) is None


async def test_the_fence_rises_above_lease_and_objects(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()

    async def on_objects() -> int:
        return 41

    one = contender(rest, clock, namespace, "one")
    assert await one.try_acquire(seen_fence=on_objects) == 42
    await one.release()
    two = contender(rest, clock, namespace, "two")
    assert await two.try_acquire(seen_fence=no_objects) == 43
    stack.plane.api.delete(path(namespace))
    three = contender(rest, clock, namespace, "three")
    assert await three.try_acquire(seen_fence=on_objects) == 42
    assert record(stack, namespace)["metadata"]["annotations"][FENCE_ANNOTATION] == "42"


async def test_a_deleted_lease_is_restored_by_its_holder_fence_and_all(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    one = contender(rest, FakeClock(), namespace, "one")
    await one.try_acquire(seen_fence=no_objects)
    stack.plane.api.delete(path(namespace))
    await one.renew()
    assert record(stack, namespace)["metadata"]["annotations"][FENCE_ANNOTATION] == "1"


async def test_a_released_lease_is_free_at_once(
    stack: Stack, rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    await one.try_acquire(seen_fence=no_objects)
    assert await two.try_acquire(seen_fence=no_objects) is None
    await one.release()
    assert not one.held()
    assert await two.try_acquire(seen_fence=no_objects) == 2
    assert record(stack, namespace)["spec"]["leaseTransitions"] == 1


async def test_work_that_is_stuck_is_not_renewed(rest: RestClient, namespace: str) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    await one.try_acquire(seen_fence=no_objects)
    assert await two.try_acquire(seen_fence=no_objects) is None

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    with pytest.raises(LeaseLostError, match="work is stuck"):
        await one.keep(healthy=lambda: False, sleep=sleep)
    clock.advance(10)
    assert await two.try_acquire(seen_fence=no_objects) == 2


async def test_two_that_find_it_free_at_once_do_not_both_get_it(
    rest: RestClient, namespace: str
) -> None:
    clock = FakeClock()
    one, two = (contender(rest, clock, namespace, name) for name in ("one", "two"))
    taken: list[int | None] = []

    async def overtaken() -> int:
        taken.append(await two.try_acquire(seen_fence=no_objects))
        return 0

    assert await one.try_acquire(seen_fence=overtaken) is None
    assert taken == [1]
