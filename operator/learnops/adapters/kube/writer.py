"""The `Kube` port on a real API server."""

from typing import Any, TypeAlias

from learnops.adapters.kube.events import EventRecorder
from learnops.adapters.kube.rest import MERGE_PATCH, Json, RestClient
from learnops.api.canary import CanaryDeployment
from learnops.api.common import API_VERSION, GROUP, VERSION
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.domain.plan import FINALIZER, EmitEvent, SetFinalizer
from learnops.ports.kube import ConflictError, GoneError, KubeUnavailableError

PLURALS = {model.__name__: model.plural for model in (Doer, Policy, CanaryDeployment)}
FIELD_MANAGER = "learnops-operator"
_ROOT = f"/apis/{GROUP}/{VERSION}"
_PAGE = 500
_Objects: TypeAlias = list[Json]  # the method `list` hides the type in its class


class KubeWriter:
    """Reads lists and writes status, finalizers, canaries and events.

    `namespaces` are the ones this operator watches; empty: all of them.
    """

    def __init__(
        self, *, rest: RestClient, events: EventRecorder, namespaces: tuple[str, ...] = ()
    ) -> None:
        self._rest = rest
        self._events = events
        self._namespaces = namespaces

    async def replace_status(
        self,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        resource_version: str,
        status: dict[str, Any],
    ) -> Json:
        """PUT of the status subresource; ConflictError when the object is not the one seen."""
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "resourceVersion": resource_version,
            },
            "status": status,
        }
        path = f"{_object_path(kind, namespace, name)}/status"
        return await self._rest.call("PUT", path, body=body, query=_manager())

    async def set_finalizer(self, *, namespace: str, action: SetFinalizer) -> Json:
        """Add or remove the operator's finalizer, keeping the others.

        The list is read first and the patch tests the version read, so that no other finalizer that
        was added meanwhile is lost.
        """
        path = _object_path(action.kind, namespace, action.name)
        found = await self._rest.call("GET", path)
        metadata = found["metadata"]
        if metadata["uid"] != action.uid:
            raise ConflictError(f"{action.kind} {action.name} is another object by now")
        others = [one for one in metadata.get("finalizers", []) if one != FINALIZER]
        finalizers = [*others, FINALIZER] if action.present else others
        if finalizers == metadata.get("finalizers", []):
            return found
        patch = {
            "metadata": {
                "uid": action.uid,
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": finalizers,
            }
        }
        return await self._rest.call(
            "PATCH", path, body=patch, query=_manager(), content_type=MERGE_PATCH
        )

    async def create(self, *, kind: str, namespace: str, manifest: Json) -> Json:
        """Create an object; when the name is taken, return what is there."""
        path = _collection_path(kind, namespace)
        try:
            return await self._rest.call("POST", path, body=manifest, query=_manager())
        except ConflictError:
            name = manifest["metadata"]["name"]
        try:
            return await self._rest.call("GET", f"{path}/{name}")
        except GoneError as error:  # deleted between the two calls
            raise ConflictError(f"{kind} {name} was taken and is gone") from error

    async def emit(self, *, namespace: str, event: EmitEvent) -> None:
        """Write an Event; never raises."""
        await self._events.emit(namespace=namespace, event=event)

    async def _list_path(self, kind: str, path: str) -> _Objects:
        found: _Objects = []
        token = ""
        while True:
            query = {"limit": str(_PAGE), **({"continue": token} if token else {})}
            try:
                page = await self._rest.call("GET", path, query=query)
            except GoneError as error:  # the token expired, or the CRD is gone
                raise KubeUnavailableError(str(error)) from error
            # Items of a list may come without these two; every other raw object has them.
            found += [{**item, "apiVersion": API_VERSION, "kind": kind} for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                return found

    async def list(self, *, kind: str) -> _Objects:
        """Every object of a kind in the watched namespaces, read in pages of 500.

        A list that outlived its continue token is begun again by the caller's next try.
        """
        paths = [_collection_path(kind, one) for one in self._namespaces]
        found: _Objects = []
        for path in paths or [f"{_ROOT}/{PLURALS[kind]}"]:
            found += await self._list_path(kind, path)
        return found


def _collection_path(kind: str, namespace: str) -> str:
    return f"{_ROOT}/namespaces/{namespace}/{PLURALS[kind]}"


def _object_path(kind: str, namespace: str, name: str) -> str:
    return f"{_collection_path(kind, namespace)}/{name}"


def _manager() -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER}
