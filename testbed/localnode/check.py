"""What the local node can honour of a pod. Everything that is not named here is refused."""

from collections.abc import Collection, Iterator

from testbed.kubeapi import Json

# Honoured, or without a meaning on a machine with one node and no images.
_POD = frozenset(
    {
        *("activeDeadlineSeconds", "automountServiceAccountToken", "containers", "dnsPolicy"),
        *("enableServiceLinks", "imagePullSecrets", "nodeName", "nodeSelector"),
        *("preemptionPolicy", "priority", "priorityClassName", "restartPolicy", "schedulerName"),
        *("securityContext", "serviceAccount", "serviceAccountName"),
        *("terminationGracePeriodSeconds", "tolerations", "volumes"),
    }
)
_CONTAINER = frozenset(
    {
        *("args", "command", "env", "envFrom", "image", "imagePullPolicy", "name", "ports"),
        *("resources", "securityContext", "terminationMessagePath", "terminationMessagePolicy"),
        *("volumeMounts", "workingDir"),
    }
)
_MOUNT = frozenset({"mountPath", "name", "readOnly", "subPath"})
_VOLUMES = frozenset(
    {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
)
_PROJECTED = frozenset({"configMap", "downwardAPI", "secret", "serviceAccountToken"})
_RESOURCES = frozenset({"cpu", "ephemeral-storage", "memory"})
# They only take rights away: a program that works with them works without.
_RESTRICTING = frozenset(
    {
        *("allowPrivilegeEscalation", "fsGroup", "fsGroupChangePolicy", "readOnlyRootFilesystem"),
        *("runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile", "supplementalGroups"),
    }
)


def refusals(pod: Json, *, labels: Json, resources: Collection[str]) -> list[str]:
    """The fields, each with its reason, that the local node cannot honour; empty if it can.

    ``labels`` are the node's own, ``resources`` the extended resources it was told it has.
    """
    spec = pod["spec"]
    found = [*_unknown(spec, _POD, "spec"), *_pod_values(spec, labels)]
    found += _security(spec.get("securityContext"), "spec.securityContext")
    for index, volume in enumerate(spec.get("volumes", [])):
        found += _volume(volume, f"spec.volumes[{index}]")
    if len(spec["containers"]) > 1:
        found.append("spec.containers: more than one")
    found += _container(spec["containers"][0], resources)
    return found


def unenforced(pod: Json) -> list[str]:
    """The restrictions a pod asks for that the local node accepts without enforcing them."""
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    found = [f"spec.securityContext.{key}" for key in sorted(spec.get("securityContext") or {})]
    where = "spec.containers[0]"
    own = container.get("securityContext") or {}
    found += [f"{where}.securityContext.{key}" for key in sorted(own)]
    limits = container.get("resources", {}).get("limits", {})
    found += [f"{where}.resources.limits.{key}" for key in sorted(limits)]
    found += [
        f"spec.volumes[{index}].emptyDir.{key}"
        for index, volume in enumerate(spec.get("volumes", []))
        for key in sorted(volume.get("emptyDir") or {})
    ]
    return found


def _unknown(value: Json, known: Collection[str], where: str) -> Iterator[str]:
    return (f"{where}.{key}: not supported" for key in sorted(set(value) - set(known)))


def _pod_values(spec: Json, labels: Json) -> Iterator[str]:
    if spec["restartPolicy"] != "Never":
        yield f"spec.restartPolicy: {spec['restartPolicy']}; use Never, a Job retries by new pods"
    if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
        yield f"spec.schedulerName: no {spec['schedulerName']} here"
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            yield f"spec.nodeSelector: the local node has no label {key}={value}"


def _container(container: Json, resources: Collection[str]) -> Iterator[str]:
    where = "spec.containers[0]"
    yield from _unknown(container, _CONTAINER, where)
    if not container.get("command"):
        yield f"{where}.command: must be given, there is no image to take it from"
    yield from _security(container.get("securityContext"), f"{where}.securityContext")
    asked = container.get("resources", {})
    yield from _unknown(asked, ("limits", "requests"), f"{where}.resources")
    named = {*asked.get("limits", {}), *asked.get("requests", {})}
    for name in sorted(named - _RESOURCES - set(resources)):
        yield f"{where}.resources: the local node was not told that it has {name}"
    for index, mount in enumerate(container.get("volumeMounts", [])):
        yield from _unknown(mount, _MOUNT, f"{where}.volumeMounts[{index}]")


def _security(context: Json | None, where: str) -> Iterator[str]:
    for key, value in sorted((context or {}).items()):
        if key == "capabilities":
            if value.get("add"):
                yield f"{where}.capabilities.add: not supported"
        elif key == "privileged":
            if value:
                yield f"{where}.privileged: not supported"
        elif key not in _RESTRICTING:
            yield f"{where}.{key}: not supported"


def _volume(volume: Json, where: str) -> Iterator[str]:
    yield from _unknown(volume, _VOLUMES | {"name"}, where)
    for index, source in enumerate(volume.get("projected", {}).get("sources", [])):
        yield from _unknown(source, _PROJECTED, f"{where}.projected.sources[{index}]")
