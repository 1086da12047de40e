"""One request to an application in this process, without a server or a client library."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: Any


async def ask(
    app: FastAPI, method: str, path: str, *, body: object = None, token: str | None = "t" * 16
) -> Told:
    """Send JSON and read it; an exception of the application is what its server would log."""
    bare, _, query = path.partition("?")
    headers = [(b"content-type", b"application/json")]
    if token is not None:
        headers.append((b"authorization", b"Bearer " + token.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    data = b"" if body is None else json.dumps(body).encode()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    with suppress(Exception):
        await app(scope, receive, send)
    start = sent[0]
    content = b"".join(each.get("body", b"") for each in sent[1:])
    return Told(
        status=start["status"],
        headers={name.decode(): value.decode() for name, value in start["headers"]},
        body=json.loads(content) if content.startswith(b"{") else content,
    )
