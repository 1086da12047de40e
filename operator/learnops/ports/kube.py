"""The Kubernetes API server, as small as the application can live with."""

from typing import Any, Protocol

from learnops.domain.plan import EmitEvent, SetFinalizer


class ConflictError(Exception):
    """409: the object changed since it was read; observe again."""


class GoneError(Exception):
    """404: the object no longer exists."""


class RefusedError(Exception):
    """403 or 422: a person must act; `forbidden` tells which."""

    def __init__(self, message: str, *, forbidden: bool) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class KubeUnavailableError(Exception):
    """The API server did not answer, or answered 429 or 5xx; try again later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Kube(Protocol):
    """Writes of the operator. Each call has a timeout and raises only the errors above.

    Each returns the object as the server stored it (a raw dict), so that the caller's cache need
    not wait for the watch.
    """

    async def replace_status(
        self,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        resource_version: str,
        status: dict[str, Any],
    ) -> dict[str, Any]:
        """Replace `status`; a stale resourceVersion or another uid is a ConflictError."""

    async def set_finalizer(self, *, namespace: str, action: SetFinalizer) -> dict[str, Any]:
        """Add or remove the operator's finalizer."""

    async def create(
        self, *, kind: str, namespace: str, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        """Create an object; when the name is taken, return what is there."""

    async def list(self, *, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind that this operator watches (paginated); for the periodic resync."""

    async def emit(self, *, namespace: str, event: EmitEvent) -> None:
        """Write an Event; never raises (events are not worth a reconcile)."""
