"""The local node runs the pods of Jobs as a kubelet would, and tells how they went."""

import json

import pytest

from testbed.localnode import LocalNode
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.testbed.jobs import Jobs, Json, condition, terminated


def log_of(node: LocalNode, pod: Json) -> str:
    meta = pod["metadata"]
    return node.log(meta["namespace"], meta["name"]).read_text()


def config(stack: Stack, jobs: Jobs, *, kind: str, name: str, data: dict[str, str]) -> None:
    field = "stringData" if kind == "secrets" else "data"
    stack.plane.api.create(f"{jobs.core}/{kind}", {"metadata": {"name": name}, field: data})


def claim(stack: Stack, jobs: Jobs, name: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"{jobs.core}/persistentvolumeclaims"
    stack.plane.api.create(path, {"metadata": {"name": name}, "spec": spec})


def test_what_one_job_writes_to_a_claim_another_reads(stack: Stack, jobs: Jobs) -> None:
    config(stack, jobs, kind="configmaps", name="c", data={"rate": "0.1"})
    config(stack, jobs, kind="secrets", name="s", data={"key": "hidden"})
    claim(stack, jobs, "adapters")
    adapters = {"name": "out", "persistentVolumeClaim": {"claimName": "adapters"}}
    volumes = [
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "secret", "secret": {"secretName": "s"}},
        adapters,
    ]
    mounts = [
        {"name": "config", "mountPath": "/etc/training"},
        {"name": "secret", "mountPath": "/no/such/folder"},
        {"name": "out", "mountPath": "/adapters"},
    ]
    script = "cat /etc/training/rate /no/such/folder/key > /adapters/result"
    jobs.create("writes", script, pod={"volumes": volumes}, volumeMounts=mounts)
    jobs.wait_condition("writes", "Complete")

    script = "cat /data/result > /dev/termination-log"
    mount = {"name": "out", "mountPath": "/data", "readOnly": True}
    jobs.create("reads", script, pod={"volumes": [adapters]}, volumeMounts=[mount])
    jobs.wait_condition("reads", "Complete")
    assert terminated(jobs.pod("reads"))["message"] == "0.1hidden"


def test_a_success_is_reported_in_full(stack: Stack, jobs: Jobs, node: LocalNode) -> None:
    jobs.create("j", "echo out; echo err >&2")
    jobs.wait_condition("j", "Complete")
    pod = jobs.pod("j")
    status, ended = pod["status"], terminated(pod)
    assert (status["phase"], ended["exitCode"], ended["reason"]) == ("Succeeded", 0, "Completed")
    assert status["startTime"] <= ended["startedAt"] <= ended["finishedAt"]
    assert status["podIP"].startswith("192.0.2.")
    assert pod["spec"]["nodeName"] == node.name
    assert log_of(node, pod) == "out\nerr\n"


def test_environment_arguments_and_folder(stack: Stack, jobs: Jobs) -> None:
    config(stack, jobs, kind="configmaps", name="c", data={"A": "a", "B": "b"})
    config(stack, jobs, kind="secrets", name="s", data={"k": "secret"})
    env: list[Json] = [
        {"name": "B", "value": "over"},
        {"name": "REF", "value": "$(A)-$(B)-$$(A)-$(NONE)"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "B"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]
    script = 'echo "$A|$REF|$KEY|$ONE|$NAME|$SPACE|$(pwd)|$1" > "$2"'
    jobs.create(
        "j",
        "",
        command=["sh", "-c"],
        args=[script, "sh", "$(REF)", "/dev/my-message"],
        env=env,
        envFrom=[{"configMapRef": {"name": "c"}}],
        workingDir="/not/there/yet",
        terminationMessagePath="/dev/my-message",
    )
    jobs.wait_condition("j", "Complete")
    pod = jobs.pod("j")
    reference = "a-over-$(A)-$(NONE)"
    expected = ["a", reference, "secret", "b", pod["metadata"]["name"], jobs.namespace]
    assert terminated(pod)["message"].strip().split("|") == [
        *expected,
        "/not/there/yet",
        reference,
    ]


def test_a_failing_job_is_retried_and_fails(jobs: Jobs) -> None:
    jobs.create("j", "echo no data > /dev/termination-log; exit 3", job={"backoffLimit": 1})
    assert jobs.wait_condition("j", "Failed")["reason"] == "BackoffLimitExceeded"
    pods = jobs.pods("j")
    assert [pod["status"]["phase"] for pod in pods] == ["Failed", "Failed"]
    ended = terminated(pods[0])
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert ended["message"] == "no data\n"


def test_the_log_stands_in_for_a_missing_message(jobs: Jobs) -> None:
    jobs.create("j", "echo boom; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    jobs.wait_condition("j", "Failed")
    assert terminated(jobs.pod("j"))["message"] == "boom\n"


def test_a_command_that_is_not_there_is_named(jobs: Jobs) -> None:
    jobs.create("j", "", command=["/no/such/tool"])
    jobs.wait_condition("j", "Failed")
    ended = terminated(jobs.pod("j"))
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert ended["message"] == "cannot run /no/such/tool: No such file or directory"


def test_a_pod_waits_for_its_config_map(stack: Stack, jobs: Jobs) -> None:
    volume = {"name": "v", "configMap": {"name": "late"}}
    mount = {"name": "v", "mountPath": "/v"}
    jobs.create("j", "cat /v/k", pod={"volumes": [volume]}, volumeMounts=[mount])

    def told() -> bool:
        states = jobs.pod("j")["status"].get("containerStatuses", [])
        return [s["state"]["waiting"]["message"] for s in states] == [
            "configmaps late is not there"
        ]

    wait_until(told, what="the pod to say what it waits for", deadline_seconds=30)
    config(stack, jobs, kind="configmaps", name="late", data={"k": "v"})
    jobs.wait_condition("j", "Complete")


def test_volumes_from_the_api_cannot_be_written_and_empty_ones_can(
    stack: Stack, jobs: Jobs
) -> None:
    config(stack, jobs, kind="configmaps", name="c", data={"k": "v"})
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]
    mounts = [
        {"name": "c", "mountPath": "/c"},
        {"name": "e", "mountPath": "/e"},
        {"name": "e", "mountPath": "/c/inner", "subPath": "inner"},
    ]
    # `set -e` lets a command pass that is negated, so each depends on the one before.
    script = "touch /e/f /c/inner/g && ls /e/inner/g && ! touch /c/x && ! touch /c/k"
    jobs.create("j", script, pod={"volumes": volumes}, volumeMounts=mounts)
    jobs.wait_condition("j", "Complete")


def test_a_pod_talks_to_the_api_server_as_its_service_account(stack: Stack, jobs: Jobs) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = (
        "import json, os, ssl, urllib.request\n"
        f"token = open('{folder}/token').read()\n"
        "host, port = (os.environ['KUBERNETES_SERVICE_' + n] for n in ('HOST', 'PORT'))\n"
        "url = f'https://{host}:{port}/apis/authentication.k8s.io/v1/selfsubjectreviews'\n"
        "body = {'apiVersion': 'authentication.k8s.io/v1', 'kind': 'SelfSubjectReview'}\n"
        "headers = {'Authorization': f'Bearer {token}', 'Content-Type': 'application/json'}\n"
        "request = urllib.request.Request(url, json.dumps(body).encode(), headers)\n"
        f"context = ssl.create_default_context(cafile='{folder}/ca.crt')\n"
        "answer = json.load(urllib.request.urlopen(request, context=context))\n"
        "told = open('/dev/termination-log', 'w')\n"
        "told.write(json.dumps(answer['status']['userInfo']))\n"
    )
    jobs.create("j", "", command=["python", "-c", script])
    jobs.wait_condition("j", "Complete")
    pod = jobs.pod("j")
    who = json.loads(terminated(pod)["message"])
    assert who["username"] == f"system:serviceaccount:{jobs.namespace}:default"
    assert who["extra"]["authentication.kubernetes.io/pod-name"] == [pod["metadata"]["name"]]


@pytest.mark.parametrize(
    ("pod", "own", "said"),
    [
        ({"hostNetwork": True}, {}, "spec.hostNetwork: not supported"),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            {},
            "spec.volumes[0].hostPath: not supported",
        ),
        ({"restartPolicy": "OnFailure"}, {}, "spec.restartPolicy: OnFailure; use Never"),
        ({"nodeSelector": {"gpu": "a"}}, {}, "the local node has no label gpu=a"),
        (
            {},
            {"livenessProbe": {"exec": {"command": ["true"]}}},
            "spec.containers[0].livenessProbe: not supported",
        ),
        (
            {},
            {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
            "the local node was not told that it has nvidia.com/gpu",
        ),
        (
            {},
            {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
            "spec.containers[0].securityContext.capabilities.add: not supported",
        ),
        (
            {"initContainers": [{"name": "i", "image": "i", "command": ["true"]}]},
            {},
            "spec.initContainers: not supported",
        ),
        ({}, {"command": []}, "spec.containers[0].command: must be given"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_honoured_is_refused(
    jobs: Jobs, node: LocalNode, pod: Json, own: Json, said: str
) -> None:
    jobs.create("j", "echo ran", pod=pod, **own)
    jobs.wait_condition("j", "Failed")
    refused = jobs.pods("j")
    assert refused
    for one in refused:
        assert (one["status"]["phase"], one["status"]["reason"]) == ("Failed", "NotSupported")
        told = condition(one, "testbed.example/Honoured")
        assert told["status"] == "False"
        assert said in told["message"]
        meta = one["metadata"]
        assert not node.log(meta["namespace"], meta["name"]).exists()


def test_a_second_container_is_refused(jobs: Jobs) -> None:
    container = {"image": "local", "command": ["true"]}
    both = [container | {"name": "a"}, container | {"name": "b"}]
    jobs.create("j", "", pod={"containers": both})
    jobs.wait_condition("j", "Failed")
    message = jobs.pod("j")["status"]["message"]
    assert message == "the local node cannot honour spec.containers: more than one"


def test_restrictions_that_are_not_enforced_are_told(jobs: Jobs) -> None:
    context = {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    limits = {"limits": {"memory": "1Gi"}}
    jobs.create("j", "true", securityContext=context, resources=limits)
    jobs.wait_condition("j", "Complete")
    told = condition(jobs.pod("j"), "testbed.example/Enforced")
    where = "spec.containers[0]"
    fields = ("securityContext.capabilities", "securityContext.readOnlyRootFilesystem")
    expected = [f"{where}.{field}" for field in (*fields, "resources.limits.memory")]
    assert told["message"] == f"accepted but not enforced: {', '.join(expected)}"


def test_resources_it_was_told_of_may_be_asked_for(stack: Stack, namespace: str) -> None:
    jobs = Jobs(stack.plane.api, namespace)
    with stack.local_node(namespaces=[namespace], resources=["nvidia.com/gpu"]):
        jobs.create("j", "true", resources={"limits": {"nvidia.com/gpu": "1"}})
        jobs.wait_condition("j", "Complete")


def test_pods_that_are_not_of_a_job_are_left_alone(stack: Stack, jobs: Jobs) -> None:
    container = {"name": "main", "image": "local", "command": ["true"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    stack.plane.api.create(f"{jobs.core}/pods", {"metadata": {"name": "p"}, "spec": spec})
    # Seen after the pod, by the same watch.
    jobs.create("j", "true")
    jobs.wait_condition("j", "Complete")
    pod = stack.plane.api.get(f"{jobs.core}/pods/p")
    assert pod["status"]["phase"] == "Pending"
    assert "nodeName" not in pod["spec"]


def test_namespaces_it_was_not_told_are_left_alone(stack: Stack, jobs: Jobs) -> None:
    other = Jobs(stack.plane.api, stack.namespace())
    other.create("j", "true")
    other.pod("j")
    jobs.create("j", "true")
    jobs.wait_condition("j", "Complete")
    pod = other.pod("j")
    assert pod["status"]["phase"] == "Pending"
    assert "nodeName" not in pod["spec"]
    stack.plane.delete_namespace(other.namespace)
