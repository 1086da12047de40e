"""What the api answered, by route and status: bounded, whatever callers ask for."""

import re
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Of "{run_id:path}", which is how its route takes it, not what it is called.
_CONVERTER: Final = re.compile(r":[a-z]+\}")
_NOWHERE: Final = "unknown"
_ABORTED: Final = "aborted"


class RequestSeries:
    """The series, in a registry that is given.

    `routes` are the templates that the app knows; each other path is "unknown", so that no caller
    makes series.
    """

    def __init__(self, *, registry: CollectorRegistry, routes: frozenset[str]) -> None:
        self._requests = Counter(
            "learnops_http_requests",
            "Requests to the api, by the route's template and the status it answered; `aborted`: "
            "its caller left before all of it was sent, or its process ended",
            ("route", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "learnops_http_request_duration_seconds",
            "Time from a request's head to the end of its answer; a long poll waits in it",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )

        self._names = {template: _CONVERTER.sub("}", template) for template in routes}
        # An alert watches them, and a counter that appears with 1 has not increased.
        for route in self._names.values():
            self._requests.labels(route, "500")

    def route(self, scope: Scope) -> str:
        """A refused request never came to a route, but a path without parameters is one."""
        found = self._names.get(scope["path"])
        if found is None:
            found = self._names.get(getattr(scope.get("route"), "path", ""))
        return _NOWHERE if found is None else found

    def answered(self, *, route: str, code: str, seconds: float) -> None:
        """One request has ended."""
        self._requests.labels(route, code).inc()
        self._seconds.labels(route).observe(seconds)


class CountRequests:
    """ASGI middleware before all others: what the gate or a limit refuses is counted too."""

    def __init__(self, app: ASGIApp, *, series: RequestSeries) -> None:
        self._app = app
        self._series = series

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, began = _Exchange(receive, send), perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            # Whoever is above answers 500 for it.
            exchange.code = "500"
            raise
        finally:
            self._series.answered(
                route=self._series.route(scope),
                code=exchange.code,
                seconds=perf_counter() - began,
            )


class _Exchange:
    """One request and its answer. An answer to a caller who left before all was sent is none."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._whole = self._left = False
        self.code = _ABORTED

    async def receive(self) -> Message:
        """A part of the body, or that the caller is gone."""
        message = await self._receive()
        if message["type"] != "http.disconnect":
            self._whole = not message.get("more_body", False)
        elif not self._whole and self.code == _ABORTED:
            self._left = True
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start" and not self._left:
            self.code = str(message["status"])
        await self._send(message)
