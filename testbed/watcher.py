"""A thread that keeps up with a collection of the API server."""

import threading
from collections.abc import Callable

import urllib3

from testbed.errors import TestbedError
from testbed.kubeapi import ApiError, Json, KubeApi, Watch

_WATCH_SECONDS = 300
_PAUSE_SECONDS = 0.2
_LISTED_SECONDS = 30

Handler = Callable[[str, Json], None]


class Watcher:
    """Calls ``handle(kind of event, object)`` for what exists and for each change, in order.

    The kinds are LISTED, ADDED, MODIFIED and DELETED. It lists again whenever the watch breaks, so
    a handler sees objects again but may miss a DELETED. What a handler could not do because the API
    server refused or was away is retried: the collection is listed again after a pause.
    """

    def __init__(self, api: KubeApi, path: str, handle: Handler, *, name: str) -> None:
        self._api = api
        self._path = path
        self._handle = handle
        self._listed = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait_listed(self) -> None:
        """Wait until what existed was handed on: from here on, no change is missed."""
        if not self._listed.wait(_LISTED_SECONDS):
            raise TestbedError(f"{self._thread.name}: no list after {_LISTED_SECONDS} s")

    def stop(self) -> None:
        """End the thread; no handler is called afterwards. Idempotent."""
        self._stopping.set()
        with self._lock:
            if self._watch is not None:
                self._watch.interrupt()
        if self._thread.ident is not None:
            self._thread.join(timeout=40)  # one request has at most 35 s
        if self._thread.is_alive():
            raise TestbedError(f"{self._thread.name} does not end")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (ApiError, urllib3.exceptions.HTTPError):
                # The API server is away or the watch is too old: that is what tests do to it.
                self._stopping.wait(_PAUSE_SECONDS)

    def _follow(self) -> None:
        listed = self._api.get(self._path)
        for item in listed["items"]:
            self._call("LISTED", item)
        self._listed.set()
        version = listed["metadata"]["resourceVersion"]
        watch = self._api.watch(self._path, version=version, seconds=_WATCH_SECONDS)
        with self._lock:
            self._watch = watch
            if self._stopping.is_set():
                watch.interrupt()
        try:
            for event in watch:
                self._call(event["type"], event["object"])
        finally:
            with self._lock:
                self._watch = None

    def _call(self, kind: str, item: Json) -> None:
        if not self._stopping.is_set():
            self._handle(kind, item)
