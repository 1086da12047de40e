"""What a request asks of the Kubernetes API, in the words of RBAC."""

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, kw_only=True)
class KubeRequest:
    """One request. ``resource`` holds the subresource too (``doers/status``).

    ``at`` is the monotonic time in seconds at which it arrived; ``path`` is the URL's. A path that
    is no resource (discovery, health) has an empty ``resource``.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    path: str
    at: float

    @property
    def right(self) -> tuple[str, str, str]:
        """What RBAC must grant: API group, resource, verb."""
        return self.group, self.resource, self.verb


def read_request(method: str, path: str, query: Mapping[str, str], *, at: float) -> KubeRequest:
    """Tell what a request asks for, as the API server itself does."""
    group, rest = _group(path.strip("/").split("/"))
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource = rest[0] if rest else ""
    name = rest[1] if len(rest) > 1 else ""
    if len(rest) > 2:
        resource = f"{resource}/{rest[2]}"
    return KubeRequest(
        verb=_VERBS.get(method) or _reading(name, query),
        group=group,
        resource=resource,
        namespace=namespace,
        name=name,
        path=path,
        at=at,
    )


def _group(parts: list[str]) -> tuple[str, list[str]]:
    """The API group, and what follows its version."""
    if parts[0] == "api":
        return "", parts[2:]
    if parts[0] == "apis" and len(parts) > 1:
        return parts[1], parts[3:]
    return "", []


def _reading(name: str, query: Mapping[str, str]) -> str:
    if query.get("watch") in ("1", "true"):
        return "watch"
    return "get" if name else "list"
