"""The routes of the HTTP API, one file per noun."""

from typing import Annotated

from fastapi import Depends, Query, Request

from learnops.api.common import Name
from learnops.server.access import Access
from learnops.server.gate import access_of
from learnops.server.models import RunId, UnitId
from learnops.server.services import Services


async def services_of(request: Request) -> Services:
    """The process's services.

    A coroutine, because FastAPI hands anything else to a thread, at every request.
    """
    services: Services = request.app.state.services
    return services


async def asking(request: Request) -> Access:
    """What the caller may do; a route asks it before it looks at anything else.

    A coroutine, because FastAPI hands anything else to a thread, at every request.
    """
    return access_of(request.scope)


Use = Annotated[Services, Depends(services_of)]
May = Annotated[Access, Depends(asking)]
Namespace = Annotated[Name, Query(description="The Kubernetes namespace of the doer.")]
DoerName = Annotated[Name, Query(description="The Doer's name.")]
RunIdQuery = Annotated[RunId, Query(alias="runId")]
UnitIdQuery = Annotated[UnitId | None, Query(alias="unitId")]

__all__ = ["DoerName", "May", "Namespace", "RunIdQuery", "UnitIdQuery", "Use"]
