"""The FastAPI application: routes, errors, limits, authentication."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from learnops.ports.access import Gatekeeper
from learnops.server.admission import Door
from learnops.server.deadline import Deadline
from learnops.server.documents import complete
from learnops.server.gate import BearerGate
from learnops.server.limits import BodyLimit
from learnops.server.problems import install
from learnops.server.requests import CountRequests, RequestSeries
from learnops.server.routers import assignments, ops, reports, runs, shadows, signals, snapshot
from learnops.server.services import Services

_DESCRIPTION = """Registration and routing of runs, ingest of what they report, and reports.
Errors are `application/problem+json`; `field` names the field at fault, where one is."""

_ROUTERS: Final = tuple(
    module.router for module in (assignments, runs, signals, shadows, snapshot, reports, ops)
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(*, services: Services, by: Gatekeeper) -> FastAPI:
    """The application on these services; its lifespan runs their background loops."""
    app = FastAPI(
        title="learnops",
        version=version("learnops"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        # A redirect would lead wherever the Host header says, and by http behind a TLS proxy: a
        # caller that follows it sends its token there.
        redirect_slashes=False,
        lifespan=_lifespan(services),
    )
    app.state.services = services
    install(app, routes=[route for router in _ROUTERS for route in router.routes])
    for router in _ROUTERS:
        app.include_router(router)
    # The last added is the first to see a request.
    app.add_middleware(BodyLimit)
    app.add_middleware(Door, admission=services.admission)
    app.add_middleware(Deadline)
    app.add_middleware(BearerGate, by=by)
    series = RequestSeries(registry=services.metrics.registry, routes=_templates(app))
    app.add_middleware(CountRequests, series=series)
    complete(app)
    return app


def _templates(app: FastAPI) -> frozenset[str]:
    """The paths of all routes, as they are declared."""
    return frozenset(one.path for one in iter_route_contexts(app.routes) if one.path)


def _lifespan(services: Services) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await services.pool.open(wait=False)
        await services.gate.check()
        services.loops.start(services.background())
        try:
            yield
        finally:
            await services.drain()
            await services.loops.stop()
            await services.pool.close()

    return lifespan
