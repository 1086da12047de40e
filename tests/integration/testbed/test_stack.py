"""The whole stack: what it listens on, and that it ends without a trace."""

import psutil
import pytest

from testbed.errors import TestbedError
from testbed.stack import Stack


def listening(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections(kind="inet")
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def processes(stack: Stack) -> dict[str, int]:
    plane = stack.plane
    parts = (plane.etcd, plane.apiserver, plane.manager, stack.prometheus.process)
    return {p.name: p.pid for p in (*parts, stack.postgres.process)}


def test_it_listens_on_loopback_only(stack: Stack) -> None:
    found = {name: listening(pid) for name, pid in processes(stack).items()}
    manager = found.pop("kube-controller-manager")
    assert manager == set()
    assert found == {name: {"127.0.0.1"} for name in found}


def test_the_api_server_can_be_killed_and_started(stack: Stack, namespace: str) -> None:
    stack.plane.apiserver.kill()
    assert not stack.plane.api.healthy()
    stack.plane.apiserver.start()
    stack.plane.wait_api_ready()
    assert stack.plane.api.get(f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace


def test_a_part_that_cannot_start_stops_the_others() -> None:
    second = Stack()
    second.prometheus.process.command.append("--no-such-flag")
    with pytest.raises(TestbedError, match="no-such-flag"):
        second.start()
    parts = (second.plane.etcd, second.plane.apiserver, second.postgres.process)
    assert [part.running for part in parts] == [False, False, False]
    assert not second.work.path.exists()
