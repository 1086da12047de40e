"""A small synchronous client of the Kubernetes API, for the testbed's own needs."""

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import urllib3

from testbed.errors import TestbedError

Json = dict[str, Any]
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML


class ApiError(TestbedError):
    """The API server refused; ``status`` is the HTTP status, ``reason`` Kubernetes' word for it."""

    def __init__(self, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class KubeApi:
    """Requests as one user. Paths are those of the REST API, such as ``/api/v1/namespaces``.

    Every request has a timeout of 30 s and is tried once.
    """

    def __init__(self, *, url: str, ca_file: Path, token: str) -> None:
        self.url = url
        self._headers = urllib3.HTTPHeaderDict({"Authorization": f"Bearer {token}"})
        self._pool = urllib3.PoolManager(
            ca_certs=str(ca_file),
            maxsize=8,
            retries=False,
            timeout=urllib3.Timeout(connect=5, read=30),
        )

    def as_user(self, user: str, *, groups: tuple[str, ...] = ()) -> "KubeApi":
        """The same connection, impersonating ``user`` (what ``kubectl --as`` does)."""
        other = KubeApi.__new__(KubeApi)
        other.url, other._pool = self.url, self._pool
        other._headers = self._headers.copy()
        other._headers["Impersonate-User"] = user
        for group in groups:
            other._headers.add("Impersonate-Group", group)
        return other

    def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Json:
        """GET; raises ApiError."""
        return self._call("GET", path, query=query)

    def create(self, path: str, body: Json) -> Json:
        """POST to a collection (or subresource); raises ApiError."""
        return self._call("POST", path, body=body)

    def replace(self, path: str, body: Json) -> Json:
        """PUT; raises ApiError."""
        return self._call("PUT", path, body=body)

    def merge(self, path: str, body: Json) -> Json:
        """PATCH as a JSON merge patch; raises ApiError."""
        return self._call("PATCH", path, body=body, content_type=_MERGE_PATCH)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        """Server-side apply to the object's path; raises ApiError."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        return self._call("PATCH", path, body=body, query=query, content_type=_APPLY_PATCH)

    def delete(self, path: str, *, body: Json | None = None) -> Json:
        """DELETE with optional DeleteOptions; raises ApiError."""
        return self._call("DELETE", path, body=body)

    def find(self, path: str) -> Json | None:
        """GET, None if there is no such object; raises other ApiErrors."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def healthy(self, path: str = "/readyz") -> bool:
        """Whether a health path answers 200; False also when nothing answers."""
        try:
            answer = self._pool.request("GET", self.url + path, headers=self._headers)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == HTTPStatus.OK

    def watch(self, path: str, *, version: str, seconds: int) -> "Watch":
        """Events of a collection after resource ``version``, ended by the server in ``seconds``.

        Raises ApiError (410: list again) and urllib3's HTTPError when the connection breaks.
        """
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        answer = self._pool.request(
            "GET",
            f"{self.url}{path}?{urlencode(query)}",
            headers=self._headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=seconds + 5),
        )
        if answer.status != HTTPStatus.OK:
            raise _error(answer.status, answer.read())
        sock = getattr(answer.connection, "sock", None)
        if sock is None:
            answer.close()
            raise urllib3.exceptions.ProtocolError("the API server ends the connection")
        return Watch(answer, sock)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        url = f"{self.url}{path}?{urlencode(query)}" if query else self.url + path
        headers = self._headers.copy()
        headers["Content-Type"] = content_type
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, url, body=data, headers=headers)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _error(answer.status, answer.data)
        return cast(Json, json.loads(answer.data))


class Watch:
    """An open watch: iterate it for events ``{"type": ..., "object": ...}``."""

    def __init__(self, answer: urllib3.BaseHTTPResponse, sock: socket.socket) -> None:
        self._answer = answer
        self._sock = sock
        self._interrupted = False

    def interrupt(self) -> None:
        """End the iteration from another thread; without effect on one that has ended.

        Not by the method of an SSL socket, the one that urllib3's `shutdown` calls: it takes the
        keys away before it ends the connection, so the iterating thread could read what arrives
        without decrypting it.
        """
        self._interrupted = True
        with suppress(OSError):  # that thread may just have closed it
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __iter__(self) -> Generator[Json, None, None]:
        rest = b""
        try:
            for chunk in self._answer.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (_event(line) for line in lines)
        except urllib3.exceptions.HTTPError:
            if not self._interrupted:
                raise
        finally:
            self._answer.close()


def _event(line: bytes) -> Json:
    event: Json = json.loads(line)
    if event["type"] == "ERROR":
        status = event["object"]
        raise ApiError(
            status=status.get("code", 0),
            reason=status.get("reason", "Unknown"),
            message=status.get("message", ""),
        )
    return event


def _error(status: int, data: bytes) -> ApiError:
    try:
        told = json.loads(data)
        reason, message = told.get("reason", "Unknown"), told.get("message", "")
    except ValueError:
        reason, message = "Unknown", data.decode("utf-8", "replace")[:500]
    return ApiError(status=status, reason=reason, message=message)
