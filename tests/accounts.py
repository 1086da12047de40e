"""Service accounts of tenants: their tokens, and what RBAC lets them do."""

import secrets
from dataclasses import dataclass, field

from testbed.kubeapi import Json, KubeApi

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUDIENCE = "learnops"


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Made as admin. `issued` holds every token, for whoever searches for them later."""

    kube: KubeApi
    issued: list[str] = field(default_factory=list, repr=False)

    def token(
        self, namespace: str, name: str = "agent", *, audiences: tuple[str, ...] = (AUDIENCE,)
    ) -> str:
        """A token by TokenRequest of an account that is made if missing; () is the API server's."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.kube.find(f"{path}/{name}") is None:
            self.kube.create(path, {"metadata": {"name": name}})
        spec: Json = {"expirationSeconds": 600}
        if audiences:
            spec["audiences"] = list(audiences)
        answer = self.kube.create(f"{path}/{name}/token", {"spec": spec})
        token: str = answer["status"]["token"]
        self.issued.append(token)
        return token

    def delete(self, namespace: str, name: str = "agent") -> None:
        """With it, every token of it is worth nothing."""
        self.kube.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")

    def bind(
        self,
        role: str,
        *,
        within: str,
        namespace: str,
        name: str = "agent",
        kind: str = "ClusterRole",
    ) -> str:
        """Bind a role in `within` to an account of `namespace`; the binding's path."""
        path = f"{_RBAC}/namespaces/{within}/rolebindings"
        binding = f"test-{secrets.token_hex(4)}"
        body = {
            "metadata": {"name": binding},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        }
        self.kube.create(path, body)
        return f"{path}/{binding}"

    def role(self, namespace: str, name: str, *, doers: list[str], verbs: list[str]) -> None:
        """A Role for these doers alone."""
        rule = {
            "apiGroups": ["learnops.dev"],
            "resources": ["doers"],
            "resourceNames": doers,
            "verbs": verbs,
        }
        path = f"{_RBAC}/namespaces/{namespace}/roles"
        self.kube.create(path, {"metadata": {"name": name}, "rules": [rule]})

    def leaked(self, text: str) -> int:
        """How many of the tokens are in a text, by their whole or by their signature alone."""
        return sum(token.rpartition(".")[2] in text for token in self.issued)
