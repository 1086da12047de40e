"""One connection to the stand-in of the api: what the contract says, and ways not to keep it."""

import json
import socket
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from tests.contract.client.stand_in import Json, StandInApi


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, api: "StandInApi", *arguments: Any) -> None:
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

    def _store(self, bundles: "list[Json]") -> "list[Json]":
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

    def _store_one(self, bundle: "Json") -> str:
        if bundle["metrics"].get("toxicity", 0) < 0:
            return "invalid"
        known = self.api.runs.setdefault(bundle["runId"], bundle)
        if known is bundle:
            return "accepted"
        return "duplicate" if known == bundle else "conflict"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read assertions, not access logs."""
