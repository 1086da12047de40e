"""A container's environment and command line, with Kubernetes' $(NAME) references."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from testbed.kubeapi import Json
from testbed.localnode.errors import NotYetError, RefusedError
from testbed.localnode.sources import Sources

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")


def image_environment(*, url: str, pod_name: str, home: Path) -> dict[str, str]:
    """What an image and a cluster give: PATH with this Python first, HOME, the API's address."""
    server = urlsplit(url)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "PATH": path,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "HOSTNAME": pod_name,
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(server.port),
    }


def environment(container: Json, sources: Sources) -> dict[str, str]:
    """The variables a container declares; raises NotYetError or RefusedError."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        prefix = source.get("prefix", "")
        found |= {prefix + key: os.fsdecode(value) for key, value in _all(source, sources).items()}
    for variable in container.get("env", []):
        value = _value(variable, sources)
        if value is not None:
            found[variable["name"]] = expand(value, found)
    return found


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value; $$ is a dollar sign, an unknown name stays as it is."""

    def one(found: re.Match[str]) -> str:
        return "$" if found[1] is None else known.get(found[1], found[0])

    return _REFERENCE.sub(one, text)


def _all(source: Json, sources: Sources) -> dict[str, bytes]:
    if "configMapRef" in source:
        reference = source["configMapRef"]
        return sources.config_map(reference["name"], optional=reference.get("optional", False))
    reference = source["secretRef"]
    return sources.secret(reference["name"], optional=reference.get("optional", False))


def _value(variable: Json, sources: Sources) -> str | None:
    origin = variable.get("valueFrom")
    if origin is None:
        return str(variable.get("value", ""))
    if "fieldRef" in origin:
        return sources.field(origin["fieldRef"]["fieldPath"])
    for kind, read in (("configMapKeyRef", sources.config_map), ("secretKeyRef", sources.secret)):
        if kind in origin:
            reference = origin[kind]
            optional = reference.get("optional", False)
            data = read(reference["name"], optional=optional)
            if reference["key"] not in data and not optional:
                raise NotYetError(f"{kind} {reference['name']} has no key {reference['key']}")
            found = data.get(reference["key"])
            return None if found is None else os.fsdecode(found)
    raise RefusedError(f"env {variable['name']}: valueFrom.{next(iter(origin))} is not supported")
