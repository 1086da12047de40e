"""The gate before every route: nothing of a request is read before its token is known."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.ports.access import Gatekeeper
from learnops.server.access import Access
from learnops.server.auth import check
from learnops.server.problems import Problem

# Open to whoever reaches the port: probes and Prometheus have no token of ours, and the document
# is the same everywhere. Each other path, also one that does not exist, asks for a token.
OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/health", "/metrics", "/openapi.json"})
_ACCESS: Final = "learnops.access"


class UncheckedRouteError(Exception):
    """A bug: a route was about to answer without having asked what its caller may do."""


class BearerGate:
    """ASGI middleware. Lets a good answer out only from a route that has asked for the right."""

    def __init__(self, app: ASGIApp, *, by: Gatekeeper) -> None:
        self._app = app
        self._by = by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            caller = await check(_authorization(scope), by=self._by)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        access = scope[_ACCESS] = Access(caller=caller, by=self._by)
        await self._app(scope, receive, _checked(send, access=access, path=scope["path"]))


def access_of(scope: Scope) -> Access:
    """What the gate found out for this request."""
    access: Access = scope[_ACCESS]
    return access


def whose(scope: Scope) -> str:
    """Whom a request counts for; of an open path nobody is known."""
    return access_of(scope).whose if _ACCESS in scope else ""


def _checked(send: Send, *, access: Access, path: str) -> Callable[[Message], Awaitable[None]]:
    async def checked(message: Message) -> None:
        if message["type"] == "http.response.start" and not access.asked:
            status = message["status"]
            if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.NOT_MODIFIED:
                raise UncheckedRouteError(path)
        await send(message)

    return checked


def _authorization(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return None
