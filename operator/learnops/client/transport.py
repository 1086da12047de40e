"""HTTP to the api: bounded in time and size, and closable while an answer is awaited."""

# Looking up a host loads it. Loaded first by a background thread, a fork in this very moment would
# leave its import lock held in the child for ever, and the child would never reach the api.
import encodings.idna  # noqa: F401
import json
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from learnops.client.answer import Answer, TransportError
from learnops.client.token import Token

MAX_ANSWER_BYTES = 32 * 2**20
_CHUNK_BYTES = 2**16
_CONNECTIONS = 4  # one per background thread


class Transport:
    """Connections to one api. Thread-safe."""

    def __init__(self, *, api: str, token: str | None, token_file: str | None = None) -> None:
        self._prefix = (urllib3.util.parse_url(api).path or "").rstrip("/")
        self._headers = {"Accept": "application/json"}
        self._token = Token(value=token, file=token_file)
        self._open: WeakSet[HTTPConnection] = WeakSet()
        self._closed = False
        self._pool = self._make_pool(api)

    def get(
        self,
        path: str,
        *,
        query: Mapping[str, str],
        timeout: float,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET within `timeout` seconds; raises TransportError."""
        url = f"{self._prefix}{path}?{urlencode(query)}"
        return self._request("GET", url, headers=dict(headers or {}), body=None, timeout=timeout)

    def post(self, path: str, *, body: bytes, timeout: float) -> Answer:
        """POST JSON within `timeout` seconds; raises TransportError.

        A connection that broke is tried once more: everything the SDK posts is idempotent by run
        id, and a server may close an idle connection at the moment it is used again.
        """
        headers = {"Content-Type": "application/json"}
        url = f"{self._prefix}{path}"
        return self._request("POST", url, headers=headers, body=body, timeout=timeout)

    def close(self) -> None:
        """Break off what is awaited and refuse what comes; idempotent."""
        self._closed = True
        for connection in list(self._open):
            sock = connection.sock
            if sock is not None:
                break_off(sock)
        self._pool.close()

    def _request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, timeout: float
    ) -> Answer:
        end = time.monotonic() + timeout
        for last in (False, True):
            if self._closed:
                raise TransportError("the learner is closed", sent=False)
            try:
                return self._attempt(method, url, headers=headers, body=body, end=end)
            except (NewConnectionError, ConnectTimeoutError) as error:
                raise TransportError(_name(error), sent=False) from error
            except SSLError as error:
                raise TransportError(_name(error), sent=_flaw(error) is None) from error
            except ProtocolError as error:
                if last or time.monotonic() >= end:
                    raise TransportError(_name(error), sent=True) from error
            except (HTTPError, OSError) as error:
                raise TransportError(_name(error), sent=True) from error
            except ValueError as error:
                # Of what HTTP cannot carry: its message holds that, which may be the token.
                raise TransportError(_name(error), sent=True) from None
        raise AssertionError("unreachable")  # pragma: no cover

    def _attempt(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, end: float
    ) -> Answer:
        seconds = max(end - time.monotonic(), 0.001)
        response = self._pool.urlopen(
            method,
            url,
            body=body,
            headers={**self._headers, **self._token.headers(), **headers},
            timeout=urllib3.Timeout(total=seconds),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            content = _read(response, end=end)
        except BaseException:
            response.close()  # never back into the pool with half an answer in it
            raise
        response.release_conn()
        return Answer(status=response.status, headers=response.headers, body=_parse(content))

    def _make_pool(self, api: str) -> HTTPConnectionPool:
        pool = urllib3.connection_from_url(api, maxsize=_CONNECTIONS, block=False)
        pool.ConnectionCls = _tracked(pool.ConnectionCls, self._open)
        return pool


def _tracked(base: Any, live: WeakSet[HTTPConnection]) -> type[HTTPConnection]:
    """`base`, remembering its connections so that a long poll can be broken off from outside."""

    class Tracked(base):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            live.add(self)

    return Tracked


def _read(response: BaseHTTPResponse, *, end: float) -> bytes:
    """The whole body, within time and size: a slow trickle resets a socket's own timeout."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise TransportError(f"the answer has over {MAX_ANSWER_BYTES} bytes", sent=True)
        if time.monotonic() > end:
            raise TransportError("the answer took too long", sent=True)
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None


def _name(error: Exception) -> str:
    """The kind of failure alone: messages of the HTTP library hold addresses and no secret, but
    also object ids, so that no two would be the same reason. Of a certificate what is wrong with
    it: nobody could guess."""
    flaw = _flaw(error)
    return type(error).__name__ + (f" ({flaw})" if flaw else "")


def _flaw(error: Exception) -> str | None:
    """What is wrong with the server's certificate, by which no request went out; None: not that."""
    causes = (it for it in error.args if isinstance(it, ssl.SSLCertVerificationError))
    return next((str(it.verify_message) for it in causes), None)


def break_off(sock: socket.socket) -> None:
    """End what another thread awaits of it.

    Not by the method of an SSL socket: that one takes the keys away too, and the other thread would
    read what has arrived as it is, encrypted, for an answer.
    """
    with suppress(OSError):  # the other side may have closed it already
        if isinstance(sock, ssl.SSLSocket):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        else:
            sock.shutdown(socket.SHUT_RDWR)
