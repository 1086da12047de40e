"""The control plane behaves as a cluster's does where the product relies on it."""

import json
from typing import Any

import pytest

from testbed.kubeapi import ApiError, KubeApi
from testbed.stack import Stack
from testbed.waiting import wait_until


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def allow(stack: Stack, namespace: str, *, user: str, verbs: list[str]) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}
    stack.plane.api.create(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    stack.plane.api.create(
        f"{rbac}/rolebindings",
        {"metadata": {"name": "r"}, "roleRef": reference, "subjects": [subject]},
    )


def can_list(api: KubeApi, namespace: str) -> bool:
    try:
        api.get(config_maps(namespace))
    except ApiError as error:
        if error.reason != "Forbidden":
            raise
        return False
    return True


def test_a_user_may_do_what_rbac_grants_and_no_more(stack: Stack, namespace: str) -> None:
    alice = stack.plane.api.as_user("alice")
    assert not can_list(alice, namespace)

    allow(stack, namespace, user="alice", verbs=["list"])

    # The authorizer reads roles from a cache that follows the write.
    wait_until(lambda: can_list(alice, namespace), what="the role to count", deadline_seconds=30)
    assert not can_list(stack.plane.api.as_user("bob"), namespace)
    with pytest.raises(ApiError, match="cannot create resource"):
        alice.create(config_maps(namespace), {"metadata": {"name": "c"}})


def test_a_kubeconfig_logs_in_as_its_user(stack: Stack, namespace: str) -> None:
    kubeconfig = stack.plane.kubeconfig_for("approver")
    done = stack.plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig)
    who = json.loads(done.stdout)["status"]["userInfo"]
    assert who["username"] == "approver"
    assert "approvers" in who["groups"]


def test_a_service_account_kubeconfig_logs_in_as_the_account(stack: Stack, namespace: str) -> None:
    kubeconfig = stack.plane.kubeconfig_for_service_account(namespace, "operator")
    done = stack.plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig)
    who = json.loads(done.stdout)["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:{namespace}:operator"


def crd(plural: str) -> dict[str, Any]:
    ratio = {"type": "integer", "minimum": 0}
    spec = {
        "type": "object",
        "properties": {"low": ratio, "high": ratio},
        "x-kubernetes-validations": [
            {"rule": "self.low < self.high", "message": "low must be below high"}
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.testbed.example"},
        "spec": {
            "group": "testbed.example",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural, "kind": plural.title()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }


def test_a_crd_with_cel_refuses_the_bad_and_accepts_the_good(stack: Stack, namespace: str) -> None:
    plural = f"ranges{namespace.rpartition('-')[2]}"
    stack.plane.kubectl("apply", "-f", "-", stdin=json.dumps(crd(plural)))
    stack.plane.wait_established()
    wait_until(  # established is not yet discovered, by which kubectl goes
        lambda: plural in str(stack.plane.api.find("/apis/testbed.example/v1")),
        what=f"{plural} in the API server's discovery",
        deadline_seconds=30,
    )

    def apply(low: int, high: int) -> tuple[int, str]:
        body = {
            "apiVersion": "testbed.example/v1",
            "kind": plural.title(),
            "metadata": {"name": "x", "namespace": namespace},
            "spec": {"low": low, "high": high},
        }
        done = stack.plane.kubectl("apply", "-f", "-", stdin=json.dumps(body), check=False)
        return done.returncode, done.stderr

    assert apply(1, 2) == (0, "")
    code, message = apply(3, 2)
    assert code != 0
    assert "low must be below high" in message


def test_an_owned_object_is_collected_with_its_owner(stack: Stack, namespace: str) -> None:
    api, path = stack.plane.api, config_maps(namespace)
    owner = api.create(path, {"metadata": {"name": "owner"}})["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["uid"],
    }
    api.create(path, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    api.delete(f"{path}/owner")
    wait_until(
        lambda: api.find(f"{path}/owned") is None,
        what="the owned object to be collected",
        deadline_seconds=30,
    )


def test_the_version_is_the_pinned_one(stack: Stack) -> None:
    assert stack.plane.api.get("/version")["gitVersion"] == "v1.36.3"
