"""The pod's object on the API server: what a kubelet reads of it and writes to it."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import urllib3

from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.localnode.errors import VanishedError

T = TypeVar("T")
_PAUSE_SECONDS = 0.5
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class PodObject:
    """One pod by name and uid. All but `look` go on until the API server answers or the node stops.

    Raises VanishedError once this pod is not there any more (also if another has its name) or the
    node stops; ApiError if the API server refuses for another reason.
    """

    def __init__(self, api: KubeApi, pod: Json, *, stopping: threading.Event) -> None:
        meta = pod["metadata"]
        self._api = api
        self._uid = meta["uid"]
        self._name = meta["name"]
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._stopping = stopping

    def read(self) -> Json:
        """The object as it is now."""
        return self._insist(self._get)

    def look(self) -> Json | None:
        """The same, asked for once: None where the API server is away."""
        return self._once(self._get)

    def bind(self, node: str) -> Json:
        """Bind it to a node through the Binding subresource; returns the object."""
        body: Json = {
            "metadata": {"name": self._name, "uid": self._uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._insist(lambda: self._api.create(f"{self._path}/binding", body))
        return self.read()

    def report(self, status: Json) -> Json:
        """Merge ``status`` into the status subresource; returns the object."""
        body: Json = {"metadata": {"uid": self._uid}, "status": status}
        return self._insist(lambda: self._api.merge(f"{self._path}/status", body))

    def remove(self) -> None:
        """Confirm the deletion that somebody asked for: the process is gone."""
        body: Json = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        self._insist(lambda: self._api.delete(self._path, body=body))

    def _get(self) -> Json:
        pod = self._api.get(self._path)
        if pod["metadata"]["uid"] != self._uid:
            raise VanishedError(f"pod {self._name} is another now")
        return pod

    def _insist(self, call: Callable[[], T]) -> T:
        while not self._stopping.is_set():
            answer = self._once(call)
            if answer is not None:
                return answer
            self._stopping.wait(_PAUSE_SECONDS)
        raise VanishedError("the local node stops")

    def _once(self, call: Callable[[], T]) -> T | None:
        """The answer; None where the API server is away or busy."""
        try:
            return call()
        except ApiError as error:
            if error.status in _GONE:
                raise VanishedError(str(error)) from error
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and (
                error.status != HTTPStatus.TOO_MANY_REQUESTS
            ):
                raise
        except urllib3.exceptions.HTTPError:
            pass  # the API server is away: tests do that to it
        return None
