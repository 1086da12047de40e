"""The routes of the HTTP API, one file per noun."""

from typing import Annotated

from fastapi import Depends, Query, Request

from learnops.api.common import Name
from learnops.server.models import RunId, UnitId
from learnops.server.services import Services


def services_of(request: Request) -> Services:
    """The process's services."""
    services: Services = request.app.state.services
    return services


Use = Annotated[Services, Depends(services_of)]
Namespace = Annotated[Name, Query(description="The Kubernetes namespace of the doer.")]
DoerName = Annotated[Name, Query(description="The Doer's name.")]
RunIdQuery = Annotated[RunId, Query(alias="runId")]
UnitIdQuery = Annotated[UnitId | None, Query(alias="unitId")]

__all__ = ["DoerName", "Namespace", "RunIdQuery", "UnitIdQuery", "Use"]
