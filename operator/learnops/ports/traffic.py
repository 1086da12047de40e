"""A route outside the Doer object: the weights of a user's HTTPRoute."""

from typing import Protocol

from learnops.api.doer import Doer
from learnops.domain.observed import RouteReading
from learnops.domain.plan import PatchRoute


class RouteUnavailableError(Exception):
    """The route is missing, cannot be read, or does not hold the two backends."""


class Route(Protocol):
    """Reads and sets two weights; raises RouteUnavailableError, ConflictError on a lost race."""

    async def read(self, *, doer: Doer) -> RouteReading:
        """The route's weights, readiness of its backends, acceptance by its parents."""

    async def patch(self, *, doer: Doer, action: PatchRoute) -> None:
        """Set both weights in one patch that tests the resourceVersion."""
