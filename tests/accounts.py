"""Service accounts of tenants: their tokens, and what RBAC lets them do."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import yaml

from testbed.kubeapi import Json, KubeApi
from testbed.waiting import wait_until

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUDIENCE = "learnops"


def account(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"system:serviceaccount:{namespace}:{name}"


OPERATOR = account("learnops-system", "learnops-operator")


def may(
    kube: KubeApi,
    user: str,
    verb: str,
    resource: str,
    *,
    group: str = "learnops.dev",
    name: str = "",
    within: str = "",
) -> bool:
    """Whether the API server lets a user, by the roles and bindings that it has seen so far."""
    plural, _, subresource = resource.partition("/")
    asked = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "name": name,
        "namespace": within,
    }
    told = kube.create(_REVIEWS, {"spec": {"user": user, "resourceAttributes": asked}})
    allowed: bool = told["status"]["allowed"]
    return allowed


def wait_granted(kube: KubeApi, user: str, rules: Iterable[Json], *, within: str = "") -> None:
    """Wait until the API server lets a user do all that these rules say.

    It decides by what it has seen of its own roles and bindings, which is a little later than their
    writes, and it sees each kind of them for itself.
    """
    for rule in rules:
        names = rule.get("resourceNames", [""])
        for group, resource, name, verb in product(
            rule["apiGroups"], rule["resources"], names, rule["verbs"]
        ):
            wait_until(
                lambda verb=verb, resource=resource, group=group, name=name: may(
                    kube, user, verb, resource, group=group, name=name, within=within
                ),
                what=f"{user} to be let {verb} {resource}",
                deadline_seconds=30,
            )


def wait_granted_by(kube: KubeApi, manifests: Path) -> None:
    """The same for every binding in a file of manifests to the roles in it."""
    documents = list(yaml.safe_load_all(manifests.read_text()))
    roles = {_place(one): one["rules"] for one in documents if one["kind"].endswith("Role")}
    for binding in documents:
        if not binding["kind"].endswith("RoleBinding"):
            continue
        within = binding["metadata"].get("namespace", "")
        ref = binding["roleRef"]
        rules = roles[ref["kind"], within if ref["kind"] == "Role" else "", ref["name"]]
        for subject in binding["subjects"]:
            user = account(subject["namespace"], subject["name"])
            wait_granted(kube, user, rules, within=within)


@contextmanager
def withdrawn(
    kube: KubeApi, resource: str, verbs: tuple[str, ...]
) -> Iterator[Callable[[bool], None]]:
    """A switch of rights of the operator: True takes them away, False gives them back.

    It returns once the API server decides so. At the end they are there again.
    """
    path = f"{_RBAC}/clusterroles/learnops-operator"
    rules = kube.get(path)["rules"]
    fewer = [part for rule in rules for part in _without(rule, resource, verbs)]
    assert fewer != rules

    def switch(taken: bool) -> None:
        kube.merge(path, {"rules": fewer if taken else rules})
        wait_until(
            lambda: not any(may(kube, OPERATOR, verb, resource) is taken for verb in verbs),
            what="the API server to decide by the changed role",
            deadline_seconds=30,
        )

    try:
        yield switch
    finally:
        switch(False)


def _without(rule: Json, resource: str, verbs: tuple[str, ...]) -> Iterator[Json]:
    """What is left of a rule."""
    others = [one for one in rule["resources"] if one != resource]
    left = [verb for verb in rule["verbs"] if verb not in verbs]
    if others:
        yield {**rule, "resources": others}
    if others != rule["resources"] and left:
        yield {**rule, "resources": [resource], "verbs": left}


def _place(role: Json) -> tuple[str, str, str]:
    return role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]


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
        """Bind a role in `within` to an account of `namespace`; the binding's path.

        Its rights are given when this returns.
        """
        path = f"{_RBAC}/namespaces/{within}/rolebindings"
        binding = f"test-{secrets.token_hex(4)}"
        body = {
            "metadata": {"name": binding},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        }
        self.kube.create(path, body)
        folder = "clusterroles" if kind == "ClusterRole" else f"namespaces/{within}/roles"
        rules = self.kube.get(f"{_RBAC}/{folder}/{role}")["rules"]
        wait_granted(self.kube, account(namespace, name), rules, within=within)
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
