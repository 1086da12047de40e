"""One pod on the local node, from its binding to its last status."""

import dataclasses
import shutil
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import urllib3

from testbed.errors import TestbedError
from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.localnode import status
from testbed.localnode.check import refusals, unenforced
from testbed.localnode.claims import Claims
from testbed.localnode.command import Command, Files
from testbed.localnode.environment import environment, image_environment
from testbed.localnode.errors import NotYetError, RefusedError, VanishedError
from testbed.localnode.object import PodObject
from testbed.localnode.sources import Sources
from testbed.localnode.stopping import Stopping
from testbed.localnode.volumes import mounts

_RETRY_SECONDS = 0.2
_RECHECK_SECONDS = 10.0
_START_ERROR = 128
_DEADLINE = "DeadlineExceeded"
_MESSAGES = {_DEADLINE: "it was active for longer than activeDeadlineSeconds"}
_SIGNALLED = 128  # plus the signal's number: a shell's convention, and Kubernetes'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What all pods of a node share."""

    api: KubeApi
    name: str
    labels: Json
    resources: frozenset[str]
    claims: Claims
    pods: Path
    stopping: threading.Event
    takes: Callable[[Json], bool]


class PodRun:
    """Runs one pod in the calling thread; `notify` and `stop` come from others."""

    def __init__(self, context: Context, pod: Json, *, address: str, log: Path) -> None:
        self._context = context
        self._object = PodObject(context.api, pod, stopping=context.stopping)
        self._address = address
        self._files = Files(folder=context.pods / pod["metadata"]["uid"], log=log)
        self._stopping = Stopping()
        self._began = datetime.now(UTC)

    def notify(self, pod: Json | None) -> None:
        """Take in a change of the pod's object; None if it is deleted."""
        if pod is None:
            self._stopping.at_once()
        elif "deletionTimestamp" in pod["metadata"]:
            grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
            self._stopping.ask("", grace_seconds=grace)

    def stop(self) -> None:
        """Kill it without a report: the node stops."""
        self._stopping.at_once()

    def run(self) -> None:
        """Run it to its end; returns early if the pod is gone or not for this node any more."""
        try:
            pod = self._object.read()
            if self._context.takes(pod):
                self.notify(pod)
                self._conclude(pod)
        except VanishedError:
            pass
        finally:
            shutil.rmtree(self._files.folder, ignore_errors=True)

    def _conclude(self, pod: Json) -> None:
        try:
            final = self._final_status(pod)
        except RefusedError as refusal:
            final = status.refused(self._object.read(), message=str(refusal))
        except VanishedError:
            raise
        except TestbedError as error:
            final = status.failed(pod, reason="LocalNodeError", message=str(error))
        # Told before it is removed: a Job counts a deleted pod by its last phase.
        pod = self._object.report(final)
        if "deletionTimestamp" in pod["metadata"]:
            self._object.remove()

    def _final_status(self, pod: Json) -> Json:
        if pod["status"].get("startTime"):
            message = "the local node that ran it has stopped"
            return status.failed(pod, reason="NodeLost", message=message)
        pod = self._accept(pod)
        command = self._prepare(pod)
        if command is None:
            cause = self._stopping.reason
            message = _MESSAGES.get(cause, "it was deleted before its command ran")
            return status.failed(pod, reason=cause or "Deleted", message=message)
        began = datetime.now(UTC)
        try:
            command.process.start()
            pod = self._object.report(status.running(pod, began=began))
            cause = self._supervise(command)
        finally:
            command.kill()
        return status.finished(self._object.read(), self._ending(command, began, cause))

    def _accept(self, pod: Json) -> Json:
        if not pod["spec"].get("nodeName"):
            pod = self._object.bind(self._context.name)
        context = self._context
        found = refusals(pod, labels=context.labels, resources=context.resources)
        if found:
            raise RefusedError(f"the local node cannot honour {'; '.join(found)}")
        seconds = pod["spec"].get("activeDeadlineSeconds")
        if seconds is not None:
            grace = pod["spec"]["terminationGracePeriodSeconds"]
            self._stopping.ask_in(seconds, _DEADLINE, grace_seconds=grace)
        began = self._began
        report = status.accepted(
            pod, address=self._address, began=began, unenforced=unenforced(pod)
        )
        return self._object.report(report)

    def _prepare(self, pod: Json) -> Command | None:
        """The command once all that it needs is there; None if it is to end before that."""
        told = ""
        while not self._stopping.due:
            try:
                return self._command(pod)
            except (NotYetError, ApiError) as missing:
                if str(missing) != told:
                    told = str(missing)
                    pod = self._object.report(status.waiting(pod, message=told))
            except urllib3.exceptions.HTTPError:
                pass  # the API server is away: nothing can be told either
            self._stopping.wait(_RETRY_SECONDS)
        self._check_vanished()
        return None

    def _command(self, pod: Json) -> Command:
        container, meta = pod["spec"]["containers"][0], pod["metadata"]
        sources = Sources(self._context.api, pod)
        volumes = self._files.folder / "volumes"
        shown = mounts(pod, folder=volumes, sources=sources, claims=self._context.claims)
        self._files.home.mkdir(parents=True, exist_ok=True)
        url, home = self._context.api.url, self._files.home
        given = image_environment(url=url, pod_name=meta["name"], home=home)
        return Command(
            container,
            uid=meta["uid"],
            files=self._files,
            environment=given | environment(container, sources),
            mounts=shown,
            on_end=self._stopping.wake,
        )

    def _supervise(self, command: Command) -> str:
        """Return when the process has ended or is to be killed, with the reason if we ended it.

        Raises VanishedError.
        """
        cause, signalled, recheck = "", False, time.monotonic() + _RECHECK_SECONDS
        while command.process.running and not self._stopping.overdue:
            if self._stopping.due and not signalled:
                cause, signalled = self._stopping.reason, True
                command.process.signal(signal.SIGTERM)
            self._stopping.wait(_RECHECK_SECONDS)
            if time.monotonic() >= recheck:
                # A watch that was interrupted may have missed the deletion. Asked once: whether the
                # process runs and is to go on is told without the API server.
                if (pod := self._object.look()) is not None:
                    self.notify(pod)
                recheck = time.monotonic() + _RECHECK_SECONDS
        self._check_vanished()
        return self._stopping.reason if command.process.running else cause

    def _check_vanished(self) -> None:
        if self._stopping.silent:
            raise VanishedError("the pod is deleted or the local node stops")

    def _ending(self, command: Command, began: datetime, cause: str) -> status.Ending:
        code = command.process.returncode or 0
        code = code if code >= 0 else _SIGNALLED - code
        message, reason = command.message(succeeded=code == 0), "Error" if code else "Completed"
        if code == _START_ERROR and command.start_error:
            message, reason = command.start_error, "StartError"
        return status.Ending(
            exit_code=code,
            reason=reason,
            message=message,
            began=began,
            ended=datetime.now(UTC),
            pod_reason=cause,
            pod_message=_MESSAGES.get(cause, ""),
        )
