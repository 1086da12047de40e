"""A watch of the API server that another thread ends."""

import threading
from concurrent.futures import ThreadPoolExecutor

from testbed.kubeapi import Json, KubeApi, Watch
from testbed.stack import Stack
from tests.integration.testbed.test_controlplane import config_maps

WATCHES = 20


def watch(api: KubeApi, namespace: str) -> Watch:
    path = config_maps(namespace)
    return api.watch(path, version=api.get(path)["metadata"]["resourceVersion"], seconds=60)


def test_it_ends_for_its_reader_while_events_arrive(stack: Stack, namespace: str) -> None:
    api, path = stack.plane.api, config_maps(namespace)
    api.create(path, {"metadata": {"name": "changing"}})
    done = threading.Event()

    def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            api.merge(f"{path}/changing", {"data": {"number": str(number)}})

    def read(one: Watch, begun: threading.Event) -> list[Json]:
        seen = []
        for event in one:
            seen.append(event)
            begun.set()
        return seen

    with ThreadPoolExecutor(2) as threads:
        changing = threads.submit(change)
        try:
            for _ in range(WATCHES):
                one, begun = watch(api, namespace), threading.Event()
                reading = threads.submit(read, one, begun)
                assert begun.wait(30)
                one.interrupt()
                seen = reading.result(timeout=30)
                assert {event["object"]["metadata"]["name"] for event in seen} <= {
                    "changing",
                    "kube-root-ca.crt",
                }
        finally:
            done.set()
        changing.result(timeout=30)


def test_one_that_has_ended_is_left_alone(stack: Stack, namespace: str) -> None:
    api, path = stack.plane.api, config_maps(namespace)
    one = watch(api, namespace)
    api.create(path, {"metadata": {"name": "first"}})
    events = iter(one)
    next(events)
    events.close()  # as where its reader met an error
    one.interrupt()
    one.interrupt()
    assert list(one) == []
