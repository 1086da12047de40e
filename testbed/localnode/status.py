"""The status that a kubelet would write, as merge patches for the status subresource."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

from testbed.kubeapi import Json

HOST_ADDRESS = "127.0.0.1"
# Condition types of the local node itself.
HONOURED = "testbed.example/Honoured"
ENFORCED = "testbed.example/Enforced"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """How a container ended; ``pod_reason`` only if the node ended it, as for a deadline."""

    exit_code: int
    reason: str
    message: str
    began: datetime
    ended: datetime
    pod_reason: str = ""
    pod_message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the pod's phase is Succeeded, not Failed."""
        return self.exit_code == 0 and not self.pod_reason


def accepted(pod: Json, *, address: str, began: datetime, unenforced: Sequence[str]) -> Json:
    """The pod is the node's from now on; nothing runs yet."""
    changes = {"Initialized": (True, "", ""), "PodScheduled": (True, "", "")}
    if unenforced:
        told = f"accepted but not enforced: {', '.join(unenforced)}"
        changes[ENFORCED] = (False, "NotEnforced", told)
    return {
        "phase": "Pending",
        "startTime": _text(began),
        "hostIP": HOST_ADDRESS,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": _conditions(pod, changes),
    }


def waiting(pod: Json, *, message: str) -> Json:
    """It cannot start before something is there."""
    state = {"waiting": {"reason": "ContainerCreating", "message": message}}
    return {
        "conditions": _ready(pod, False, "ContainersNotReady", message),
        "containerStatuses": [_container(pod, state, ready=False)],
    }


def running(pod: Json, *, began: datetime) -> Json:
    """The command runs."""
    state = {"running": {"startedAt": _text(began)}}
    return {
        "phase": "Running",
        "conditions": _ready(pod, True, "", ""),
        "containerStatuses": [_container(pod, state, ready=True)],
    }


def finished(pod: Json, ending: Ending) -> Json:
    """The command has ended."""
    terminated = {
        "exitCode": ending.exit_code,
        "reason": ending.reason,
        "message": ending.message,
        "startedAt": _text(ending.began),
        "finishedAt": _text(ending.ended),
        "containerID": f"local://{pod['metadata']['uid']}",
    }
    reason = "PodCompleted" if ending.succeeded else "PodFailed"
    return {
        "phase": "Succeeded" if ending.succeeded else "Failed",
        "reason": ending.pod_reason or None,
        "message": ending.pod_message or None,
        "conditions": _ready(pod, False, reason, ""),
        "containerStatuses": [_container(pod, {"terminated": terminated}, ready=False)],
    }


def failed(pod: Json, *, reason: str, message: str) -> Json:
    """The pod fails without its command having run here."""
    return {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "conditions": _ready(pod, False, "PodFailed", ""),
        "containerStatuses": [],
    }


def refused(pod: Json, *, message: str) -> Json:
    """The pod fails because the local node cannot honour it."""
    changes = {HONOURED: (False, "NotSupported", message)}
    status = failed(pod, reason="NotSupported", message=message)
    return status | {"conditions": _conditions(pod, changes)}


def _ready(pod: Json, holds: bool, reason: str, message: str) -> list[Json]:
    value = (holds, reason, message)
    return _conditions(pod, {"ContainersReady": value, "Ready": value})


def _conditions(pod: Json, changes: dict[str, tuple[bool, str, str]]) -> list[Json]:
    old = {one["type"]: one for one in pod.get("status", {}).get("conditions", [])}
    now = _text(datetime.now(UTC))
    for kind, (holds, reason, message) in changes.items():
        before = old.get(kind, {})
        same = before.get("status") == str(holds)
        old[kind] = {
            "type": kind,
            "status": str(holds),
            "reason": reason,
            "message": message,
            "lastTransitionTime": before.get("lastTransitionTime", now) if same else now,
        }
    return list(old.values())


def _container(pod: Json, state: Json, *, ready: bool) -> Json:
    container = pod["spec"]["containers"][0]
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "containerID": f"local://{pod['metadata']['uid']}",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "lastState": {},
        "state": state,
    }


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
