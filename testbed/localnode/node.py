"""The node itself: which pods it takes, and the threads that run them."""

import threading
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

from testbed.errors import TestbedError
from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.localnode.claims import Claims
from testbed.localnode.command import enter
from testbed.localnode.podrun import Context, PodRun
from testbed.process import ManagedProcess
from testbed.watcher import Watcher
from testbed.workdir import WorkDir

_ENDED = ("Succeeded", "Failed")
_MAX_PODS = 50
_ADDRESSES = 254  # 192.0.2.0/24 is set aside for documentation: nobody's real address
_PROBE_SECONDS = 30
_NO_MOUNTS = (
    "the local node mounts the volumes of pods, for which it must be root or be allowed to make "
    "user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0)"
)


class LocalNode:
    """Runs the pods of Jobs in ``namespaces`` as processes of this user; leaves all others alone.

    There are no images: a pod's command is one of this machine. At most ``max_pods`` run at a time,
    others stay Pending. ``resources`` names extended resources, such as ``nvidia.com/gpu``, that a
    pod may ask for; they are not counted. Stopped, it kills what runs; the next node of the same
    name reports those pods as failed.
    """

    def __init__(
        self,
        api: KubeApi,
        work: WorkDir,
        *,
        namespaces: Iterable[str],
        name: str = "local-node",
        resources: Collection[str] = (),
        max_pods: int = _MAX_PODS,
    ) -> None:
        if not 1 <= max_pods <= _ADDRESSES:
            raise ValueError(f"max_pods must be from 1 to {_ADDRESSES}, not {max_pods}")
        self.name = name
        self._api = api
        self._logs = work.logs / "pods"
        # Reentrant: a task that ends at once calls `_forget` in the thread that submits it.
        self._lock = threading.RLock()
        self._runs: dict[str, PodRun] = {}
        self._started = 0
        self._failures: list[BaseException] = []
        self._threads = ThreadPoolExecutor(max_pods, thread_name_prefix="pod")
        self._context = Context(
            api=api,
            name=name,
            labels={"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
            resources=frozenset(resources),
            claims=Claims(api, work.path / "claims"),
            pods=work.path / "pods",
            stopping=threading.Event(),
            takes=self._takes,
        )
        self._watchers = [
            Watcher(api, f"/api/v1/namespaces/{space}/pods", self._on_pod, name=f"pods-{space}")
            for space in namespaces
        ]

    def start(self) -> "LocalNode":
        """Register the Node and take pods; raises TestbedError if it cannot mount here."""
        self._logs.mkdir(exist_ok=True)
        self._check_mounts()
        self._register()
        for watcher in self._watchers:
            watcher.start()
        return self

    def stop(self) -> None:
        """Kill every pod's processes and wait for that; idempotent.

        Raises TestbedError if a pod ended in an error of the local node itself.
        """
        self._context.stopping.set()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.stop()
        for watcher in self._watchers:
            watcher.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._failures:
            raise TestbedError("the local node failed") from self._failures.pop()

    def log(self, namespace: str, pod: str) -> Path:
        """Where the output of a pod goes; it stays there when the pod is deleted."""
        return self._logs / f"{namespace}_{pod}.log"

    def _takes(self, pod: Json) -> bool:
        spec, meta = pod["spec"], pod["metadata"]
        owners: list[Json] = meta.get("ownerReferences", [])
        return (
            any(one["kind"] == "Job" and one["apiVersion"].startswith("batch/") for one in owners)
            and pod.get("status", {}).get("phase") not in _ENDED
            and spec.get("nodeName", self.name) == self.name
            and not spec.get("schedulingGates")
        )

    def _on_pod(self, kind: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            run = self._runs.get(uid)
            if run is not None:
                run.notify(None if kind == "DELETED" else pod)
            elif kind != "DELETED" and self._takes(pod) and not self._context.stopping.is_set():
                self._runs[uid] = self._new_run(pod)
                task = self._threads.submit(self._runs[uid].run)
                task.add_done_callback(lambda done: self._forget(uid, done))

    def _new_run(self, pod: Json) -> PodRun:
        address = f"192.0.2.{1 + self._started % _ADDRESSES}"
        self._started += 1
        log = self.log(pod["metadata"]["namespace"], pod["metadata"]["name"])
        return PodRun(self._context, pod, address=address, log=log)

    def _forget(self, uid: str, done: "Future[None]") -> None:
        with self._lock:
            del self._runs[uid]
        if not done.cancelled() and (failure := done.exception()) is not None:
            self._failures.append(failure)

    def _check_mounts(self) -> None:
        folder = self._context.pods / f"probe-{self.name}"
        command = enter(["true"], folder=folder, mounts=(), working_folder="/")
        log = self._logs / f"probe-{self.name}.log"
        with ManagedProcess(name="mount probe", command=command, log=log) as probe:
            if probe.wait(timeout_seconds=_PROBE_SECONDS) != 0:
                said = (folder / "start-error").read_text() or probe.log_tail()
                raise TestbedError(f"{_NO_MOUNTS}: {said}")

    def _register(self) -> None:
        path = f"/api/v1/nodes/{self.name}"
        labels = self._context.labels
        try:
            self._api.create("/api/v1/nodes", {"metadata": {"name": self.name, "labels": labels}})
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:  # of an earlier local node
                raise
        conditions = [{"type": "Ready", "status": "True", "reason": "LocalNodeReady"}]
        self._api.merge(f"{path}/status", {"status": {"conditions": conditions}})

    def __enter__(self) -> "LocalNode":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
