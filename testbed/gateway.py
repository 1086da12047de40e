"""The Gateway API on the testbed: its CRDs, and a controller that accepts routes."""

import hashlib
import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testbed.binaries.cache import cache_root, fill_once
from testbed.binaries.gotool import run_go
from testbed.controlplane import ControlPlane
from testbed.errors import TestbedError
from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.watcher import Watcher

CONTROLLER = "testbed.example/gateway"
_MODULE = Path(__file__).parent / "binaries" / "gateway"
_GROUP = "gateway.networking.k8s.io"
# Of the standard channel's ten kinds those that an HTTPRoute can refer to: all ten take 5 s.
_KINDS = ("gatewayclasses", "gateways", "httproutes", "referencegrants")
_ROUTES = f"/apis/{_GROUP}/v1/httproutes"
_CONFLICT = 409
_NOT_FOUND = 404


def install_crds(plane: ControlPlane) -> None:
    """Apply the CRDs that HTTP routing needs and wait until they are served."""
    folder = _crd_folder()
    files = [f"--filename={folder / f'{_GROUP}_{kind}.yaml'}" for kind in _KINDS]
    flags = ["--server-side", "--force-conflicts"]
    plane.kubectl("apply", *flags, *files, timeout_seconds=120)
    plane.wait_established()


def _crd_folder() -> Path:
    """The CRDs' folder in the user's cache, fetched once and verified by go.sum."""
    digest = hashlib.sha256((_MODULE / "go.sum").read_bytes()).hexdigest()[:16]
    return fill_once(cache_root() / f"gateway-api-{digest}", _fetch)


def _fetch(folder: Path) -> None:
    answer = run_go(["mod", "download", "-json", "sigs.k8s.io/gateway-api"], folder=_MODULE)
    module = json.loads(answer[answer.index("{") :])  # warnings may come first
    for crd in sorted((Path(module["Dir"]) / "config" / "crd" / "standard").glob("*.yaml")):
        shutil.copyfile(crd, folder / crd.name)
    if not any(folder.iterdir()):
        raise TestbedError("the Gateway API module has no CRDs in config/crd/standard")


class ParentController:
    """Plays the gateway implementation: writes ``status.parents`` of every HTTPRoute.

    For each parentRef it says ``Accepted`` (True unless told to refuse) and ``ResolvedRefs`` (False
    with BackendNotFound if a Service is missing), both with the generation it has seen. Entries of
    other controllers stay. Paused, it writes nothing, so that a new generation stays unanswered.
    """

    def __init__(self, api: KubeApi, *, controller: str = CONTROLLER) -> None:
        self._api = api
        self._controller = controller
        self._running = threading.Event()
        self._running.set()
        self._refusal: tuple[str, str] | None = None
        self._watcher = Watcher(api, _ROUTES, self._on_route, name="httproutes")

    def start(self) -> None:
        """Start answering; the CRDs must be installed."""
        self._watcher.start()

    def stop(self) -> None:
        """Stop answering for good. Idempotent."""
        self._watcher.stop()

    def pause(self) -> None:
        """Write nothing until `resume`."""
        self._running.clear()

    def resume(self) -> None:
        """Answer again, first what changed in the meantime."""
        self._running.set()
        self._answer_all()

    def refuse(self, reason: str, message: str) -> None:
        """Say Accepted=False from now on, also to routes answered before."""
        self._refusal = (reason, message)
        self._answer_all()

    def accept(self) -> None:
        """Say Accepted=True again."""
        self._refusal = None
        self._answer_all()

    def _answer_all(self) -> None:
        if self._running.is_set():
            for route in self._api.get(_ROUTES)["items"]:
                self._on_route("LISTED", route)

    def _on_route(self, kind: str, route: Json) -> None:
        if kind == "DELETED" or not self._running.is_set():
            return
        wanted = self._parents(route)
        status = route.get("status") or {}
        if _without_times(status.get("parents", [])) == _without_times(wanted):
            return
        meta = route["metadata"]
        path = f"/apis/{_GROUP}/v1/namespaces/{meta['namespace']}/httproutes/{meta['name']}/status"
        version = {"resourceVersion": meta["resourceVersion"]}
        try:
            self._api.merge(path, {"metadata": version, "status": {"parents": wanted}})
        except ApiError as error:
            # Changed or deleted since: the watch brings the newer object.
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise

    def _parents(self, route: Json) -> list[Json]:
        status = route.get("status") or {}
        others = [p for p in status.get("parents", []) if p["controllerName"] != self._controller]
        conditions = [self._accepted(), self._resolved(route)]
        for condition in conditions:
            condition["observedGeneration"] = route["metadata"]["generation"]
            condition["lastTransitionTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ours = [
            {"parentRef": ref, "controllerName": self._controller, "conditions": conditions}
            for ref in route["spec"].get("parentRefs", [])
        ]
        return others + ours

    def _accepted(self) -> Json:
        if self._refusal is not None:
            return _condition("Accepted", False, *self._refusal)
        return _condition("Accepted", True, "Accepted", "")

    def _resolved(self, route: Json) -> Json:
        for name, namespace in _services(route):
            if self._api.find(f"/api/v1/namespaces/{namespace}/services/{name}") is None:
                message = f"no Service {name} in namespace {namespace}"
                return _condition("ResolvedRefs", False, "BackendNotFound", message)
        return _condition("ResolvedRefs", True, "ResolvedRefs", "")


def _condition(kind: str, holds: bool, reason: str, message: str) -> Json:
    return {"type": kind, "status": str(holds), "reason": reason, "message": message}


def _services(route: Json) -> list[tuple[str, str]]:
    own = route["metadata"]["namespace"]
    return [
        (ref["name"], ref.get("namespace", own))
        for rule in route["spec"].get("rules", [])
        for ref in rule.get("backendRefs", [])
        if ref.get("kind", "Service") == "Service"
    ]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k != "lastTransitionTime"}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
