"""What a pod reads from the API server: ConfigMaps, Secrets, its own fields, its token."""

import base64
import re
from typing import Any

from testbed.kubeapi import Json, KubeApi
from testbed.localnode.errors import NotYetError, RefusedError

_MAPPED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.podIP",
)
_TOKEN_SECONDS = 3600


class Sources:
    """Reads for one pod.

    Raises NotYetError for what is missing, RefusedError for what is not supported.
    """

    def __init__(self, api: KubeApi, pod: Json) -> None:
        self._api = api
        self._pod = pod
        self._base = f"/api/v1/namespaces/{pod['metadata']['namespace']}"

    def config_map(self, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """A ConfigMap's data by key; empty if it is missing and may be."""
        found = self._find("configmaps", name, optional)
        binary = {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}
        return binary | {key: text.encode() for key, text in (found.get("data") or {}).items()}

    def secret(self, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """A Secret's data by key; empty if it is missing and may be."""
        found = self._find("secrets", name, optional)
        return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}

    def field(self, path: str) -> str:
        """A field of the pod itself, as the downward API names it."""
        mapped = _MAPPED.fullmatch(path)
        if mapped:
            return str(self._pod["metadata"].get(mapped[1], {}).get(mapped[2], ""))
        if path not in _FIELDS:
            raise RefusedError(f"fieldRef {path}: not supported")
        value: Any = self._pod
        for part in path.split("."):
            value = value.get(part, {})
        return str(value or "")

    def token(self, source: Json) -> bytes:
        """A new token of the pod's service account, bound to the pod; it is not renewed."""
        meta = self._pod["metadata"]
        spec: Json = {
            "expirationSeconds": source.get("expirationSeconds", _TOKEN_SECONDS),
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "uid": meta["uid"],
            },
        }
        if source.get("audience"):
            spec["audiences"] = [source["audience"]]
        account = self._pod["spec"]["serviceAccountName"]
        path = f"{self._base}/serviceaccounts/{account}/token"
        token: str = self._api.create(path, {"spec": spec})["status"]["token"]
        return token.encode()

    def _find(self, plural: str, name: str, optional: bool) -> Json:
        found = self._api.find(f"{self._base}/{plural}/{name}")
        if found is None and not optional:
            raise NotYetError(f"{plural} {name} is not there")
        return found or {}
