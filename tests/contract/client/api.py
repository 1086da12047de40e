"""A real HTTP server that speaks the contract of docs/reference/http-api.md, and can misbehave."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from learnops.domain.assignment import draw
from testbed.waiting import wait_until

Json = dict[str, Any]
Misbehaviour = Callable[["Handler"], None]


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


class Api:
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
        wait_until(check, what=what, deadline_seconds=20)


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


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, api: Api, *arguments: Any) -> None:
        self.api = api
        self.body: Any = None
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._dispatch()

    def do_POST(self) -> None:
        self._dispatch()

    def _dispatch(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        token = self.headers.get("Authorization")
        with self.api.changed:
            self.api.requests.append({"path": parts.path, "query": query, "token": token})
        misbehaviour = self.api.misbehave.get(parts.path)
        if misbehaviour is not None:
            misbehaviour(self)
            return
        self.behave(parts.path, query)

    def behave(self, path: str, query: dict[str, str] | None = None) -> None:
        """What the contract says."""
        if path == "/v1/snapshot":
            self._snapshot(query or {})
        elif path == "/v1/assignments":
            with self.api.changed:
                self.api.registrations.append(self.body["runs"])
                told = [self.api.assign(run) for run in self.body["runs"]]
            self.answer(200, {"revision": self.api.revision, "assignments": told})
        elif path == "/v1/assignments:void":
            with self.api.changed:
                self.api.voided += self.body["runIds"]
            self.answer(200, {"voided": self.body["runIds"]})
        elif path == "/v1/runs:batch":
            self.answer(200, {"results": self._store(self.body["runs"])})
        elif path.startswith("/v1/runs/") and path.endswith("/signals"):
            self._append(unquote(path.removeprefix("/v1/runs/").removesuffix("/signals")))
        else:
            self.answer(404, {"title": "Not Found", "detail": f"no {path}"})

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.raw(status, data, {"Content-Type": "application/json", **(headers or {})})

    def raw(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        with suppress(OSError):  # the client may be gone by now
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def cut_off(self) -> None:
        """Announce more than is sent."""
        self.close_connection = True
        with suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"results": [')

    def drop(self) -> None:
        """Break the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _snapshot(self, query: dict[str, str]) -> None:
        known = (self.headers.get("If-None-Match") or "").strip('"')
        api = self.api
        with api.changed:
            wait = float(query.get("waitSeconds", 0)) if known == api.etag else 0.0
            api.changed.wait_for(lambda: api.stopped or known != api.etag, timeout=wait)
            if api.stopped:
                self.close_connection = True
                return
            etag, body, ttl = api.etag, api.snapshot(), api.ttl
        if known == etag:
            headers = {"ETag": f'"{etag}"'}
            if ttl is not None:
                headers["X-Learnops-TTL-Seconds"] = str(ttl)
            self.answer(304, None, headers)
        else:
            self.answer(200, body, {"ETag": f'"{etag}"'})

    def _append(self, run_id: str) -> None:
        sent = self.body["signals"]
        if any(signal["note"] == "refuse me" for signal in sent):
            self.answer(422, {"title": "Unprocessable Content", "detail": "signals[0].note"})
            return
        with self.api.changed:
            known = run_id in self.api.runs or run_id in self.api.registered
            if known:
                self.api.signals.append((run_id, sent))
                self.api.changed.notify_all()
        self.answer(201 if known else 404, {"detail": "no such run"})

    def _store(self, bundles: list[Json]) -> list[Json]:
        results = []
        with self.api.changed:
            self.api.batches.append(len(bundles))
            for bundle in bundles:
                results.append({"runId": bundle["runId"], "status": self._store_one(bundle)})
                if results[-1]["status"] == "invalid":
                    field = "metrics.toxicity"  # of an extra term, which only the api knows
                    detail = f"{field}: is -1; send 0 or more"
                    results[-1]["problem"] = {"field": field, "detail": detail}
        return results

    def _store_one(self, bundle: Json) -> str:
        if bundle["metrics"].get("toxicity", 0) < 0:
            return "invalid"
        known = self.api.runs.setdefault(bundle["runId"], bundle)
        if known is bundle:
            return "accepted"
        return "duplicate" if known == bundle else "conflict"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read assertions, not access logs."""
