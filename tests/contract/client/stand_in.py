"""A real HTTP server that speaks the contract of docs/reference/http-api.md, and can misbehave."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any

from learnops.domain.assignment import draw
from testbed.waiting import wait_until
from tests.contract.client.handler import Handler

Json = dict[str, Any]
Misbehaviour = Callable[[Handler], None]


def content(version: str, system: str = "Plan.") -> Json:
    """A policy's content as the snapshot carries it."""
    return {
        "digest": f"v1:{version}",
        "version": version,
        "prompts": {
            "variants": [
                {"name": "base", "system": system, "fewShot": [{"input": "a", "output": "b"}]}
            ]
        },
        "models": {"variants": [{"name": "small", "model": f"model-{version}"}]},
        "hparams": {"temperature": "0.6", "topK": 40},
        "toolsAllowlist": ["search"],
    }


class StandInApi:
    """The api of one doer; everything it was told is in `registered`, `voided` and `runs`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.uid, self.revision, self.salt, self.router = "doer-1", 1, "canary-1.0", "SDK"
        self.percent: int | None = None
        self.candidate = "planner-v2"
        self.assignment: object = None  # what is drawn for; None: each run
        self.hidden: set[str] = set()  # policies whose content the snapshot lacks
        self.ttl: float | None = 300.0
        self.registered: dict[str, Json] = {}
        self.voided: list[str] = []
        self.runs: dict[str, Json] = {}
        self.batches: list[int] = []
        self.signals: list[tuple[str, list[Json]]] = []  # by run, in the order of arrival
        self.requests: list[Json] = []
        self.registrations: list[list[Json]] = []
        self.shadow: str | None = None
        self.misbehave: dict[str, Misbehaviour] = {}  # by path
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before if it did before."""

        def handler(*arguments: Any) -> Handler:
            return Handler(self, *arguments)

        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, as a killed process does."""
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()
            with self.changed:
                self.changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._server is None

    def serve(self, *, percent: int | None, revision: int | None = None, **traffic: Any) -> None:
        """Change the doer's traffic; `percent` None: no canary is live."""
        with self.changed:
            self.percent = percent
            self.revision = self.revision + 1 if revision is None else revision
            for name, value in traffic.items():
                setattr(self, name, value)
            self.changed.notify_all()

    @property
    def etag(self) -> str:
        return f"{self.uid}:{self.revision}"

    def snapshot(self) -> Json:
        candidate = [] if self.percent is None else [(self.candidate, self.percent)]
        shares = [("planner-v1", 100 - sum(p for _, p in candidate)), *candidate]
        rollout = {
            "id": self.salt,
            "canary": "planner-v2-1",
            "control": "planner-v1",
            "candidate": self.candidate,
            "percent": self.percent,
        }
        policies = {
            "planner-v1": content("1.0.0"),
            "planner-v2": content("2.0.0", "Plan well."),
            "planner-v3": content("3.0.0", "Plan better."),
        }
        return {
            "namespace": "agents",
            "doer": "planner",
            "doerUID": self.uid,
            "revision": self.revision,
            "etag": self.etag,
            "ttlSeconds": self.ttl,
            "router": self.router,
            "salt": self.salt,
            "active": "planner-v1",
            "rollout": None if self.percent is None else rollout,
            "assignment": self.assignment,
            "shadow": self.shadow and {"rollout": self.salt, "policy": self.shadow},
            "shares": [{"policy": policy, "percent": percent} for policy, percent in shares],
            "policies": {name: policies[name] for name in policies if name not in self.hidden},
        }

    def assign(self, run: Json) -> Json:
        live = self.percent is not None and 0 < self.percent < 100
        unit = run.get("unitId", run["runId"])
        arm = draw(self.salt, unit, self.percent or 0).value
        if "policy" in run:
            arm = "candidate" if run["policy"] == "planner-v2" else "control"
        told = {
            "runId": run["runId"],
            "arm": arm,
            "policy": "planner-v2" if arm == "candidate" else "planner-v1",
            "propensity": (self.percent or 0) / 100,
            "rollout": self.salt if live else None,
            "revision": self.revision,
            "registered": live,
        }
        if live:
            told = self.registered.setdefault(run["runId"], told)
        return told

    def wait_for(self, check: Callable[[], Any], what: str) -> None:
        """Wait until the api saw something."""
        wait_until(check, what=what, deadline_seconds=60)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._sockets: list[Any] = []
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
