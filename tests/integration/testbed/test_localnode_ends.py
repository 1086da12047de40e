"""Every way a pod of the local node is ended from outside leaves no process and a true report."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from testbed.localnode import LocalNode
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.testbed.jobs import Jobs, Json, terminated

ROOT = Path(__file__).parents[3]
# Says its process id and that of a child that has left its session, then waits for signals.
# Kubernetes makes one dollar sign of two in a command.
WAITS = 'setsid sleep 600 & echo "pids $$$$ $!"; while :; do sleep 600 & wait $!; done'
NOTES_TERM = "trap 'echo got TERM; exit 0' TERM; " + WAITS
IGNORES_TERM = "trap '' TERM; " + WAITS


def pids(node: LocalNode, pod: Json) -> list[int]:
    log = node.log(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def found() -> list[int]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [int(pid) for line in lines if line.startswith("pids") for pid in line.split()[1:]]

    return wait_until(found, what="the pod's process ids", deadline_seconds=30)


def wait_gone(processes: list[int]) -> None:
    wait_until(
        lambda: not any(psutil.pid_exists(pid) for pid in processes),
        what=f"processes {processes} to end",
        deadline_seconds=60,
    )


def started(jobs: Jobs, node: LocalNode) -> tuple[Json, list[int]]:
    pod = jobs.wait_phase("j", "Running")
    return pod, pids(node, pod)


def test_a_deleted_job_is_asked_to_end_and_goes(jobs: Jobs, node: LocalNode) -> None:
    jobs.create("j", NOTES_TERM)
    pod, processes = started(jobs, node)
    assert all(psutil.pid_exists(pid) for pid in processes)
    jobs.delete("j")
    wait_until(lambda: not jobs.pods("j"), what="the pod to be gone", deadline_seconds=30)
    wait_gone(processes)
    log = node.log(jobs.namespace, pod["metadata"]["name"]).read_text()
    assert log.endswith("got TERM\n")


def test_what_ignores_sigterm_is_killed_after_the_grace(jobs: Jobs, node: LocalNode) -> None:
    jobs.create("j", IGNORES_TERM, pod={"terminationGracePeriodSeconds": 1})
    _, processes = started(jobs, node)
    jobs.delete("j")
    wait_until(lambda: not jobs.pods("j"), what="the pod to be gone", deadline_seconds=30)
    wait_gone(processes)


def test_a_forced_deletion_kills(stack: Stack, jobs: Jobs, node: LocalNode) -> None:
    jobs.create("j", IGNORES_TERM, pod={"terminationGracePeriodSeconds": 600})
    pod, processes = started(jobs, node)
    path = f"{jobs.core}/pods/{pod['metadata']['name']}"
    stack.plane.api.delete(path, body={"gracePeriodSeconds": 0})
    wait_gone(processes)


def test_a_pod_past_its_deadline_fails(jobs: Jobs, node: LocalNode) -> None:
    # Long enough for its start and for "Running" to be seen on a busy machine.
    jobs.create("j", NOTES_TERM, pod={"activeDeadlineSeconds": 10})
    _, processes = started(jobs, node)
    jobs.wait_condition("j", "Failed")
    wait_gone(processes)
    pod = jobs.pod("j")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert pod["status"]["message"] == "it was active for longer than activeDeadlineSeconds"
    assert terminated(pod)["exitCode"] == 0  # it heeded SIGTERM; the pod has failed all the same


def test_a_job_past_its_deadline_fails(jobs: Jobs, node: LocalNode) -> None:
    jobs.create("j", WAITS)
    _, processes = started(jobs, node)
    jobs.change("j", {"activeDeadlineSeconds": 1})
    assert jobs.wait_condition("j", "Failed")["reason"] == "DeadlineExceeded"
    wait_gone(processes)


def test_a_signal_shows_in_the_exit_code(jobs: Jobs) -> None:
    jobs.create("j", "kill -KILL $$$$")
    jobs.wait_condition("j", "Failed")
    assert terminated(jobs.pod("j"))["exitCode"] == 137


def test_a_pod_survives_a_restart_of_the_api_server(
    stack: Stack, jobs: Jobs, node: LocalNode
) -> None:
    late = {"name": "v", "configMap": {"name": "late"}}
    jobs.create("waits", "true", pod={"volumes": [late]})
    jobs.create("j", NOTES_TERM)
    _, processes = started(jobs, node)
    stack.plane.apiserver.kill()
    # It ends while nobody can be told.
    psutil.Process(processes[0]).terminate()
    wait_gone(processes)
    stack.plane.apiserver.start()
    stack.plane.wait_api_ready()
    jobs.wait_condition("j", "Complete")
    stack.plane.api.create(f"{jobs.core}/configmaps", {"metadata": {"name": "late"}})
    jobs.wait_condition("waits", "Complete")
    # And the watch goes on.
    jobs.create("after", "true")
    jobs.wait_condition("after", "Complete")


def test_a_stopped_node_leaves_no_process_and_the_next_tells_of_its_pods(
    stack: Stack, namespace: str
) -> None:
    jobs = Jobs(stack.plane.api, namespace)
    api, work = stack.plane.api, stack.work
    name = f"node-of-{namespace}"
    with LocalNode(api, work, namespaces=[namespace], name=name) as node:
        jobs.create("j", IGNORES_TERM)
        _, processes = started(jobs, node)
    wait_gone(processes)
    assert jobs.pod("j")["status"]["phase"] == "Running"
    with LocalNode(api, work, namespaces=[namespace], name=name):
        jobs.wait_condition("j", "Failed")
        assert jobs.pod("j")["status"]["reason"] == "NodeLost"


def test_more_pods_than_it_may_run_wait(stack: Stack, namespace: str) -> None:
    jobs = Jobs(stack.plane.api, namespace)
    with LocalNode(
        stack.plane.api, stack.work, namespaces=[namespace], name=f"one-{namespace}", max_pods=1
    ):
        jobs.create("j", WAITS)
        jobs.wait_phase("j", "Running")
        jobs.create("waits", "true")
        assert jobs.pod("waits")["status"]["phase"] == "Pending"
        jobs.delete("j")
        jobs.wait_condition("waits", "Complete")


# Without rights of root and without the right to make user namespaces.
CONFINED = """
echo 0 > /proc/sys/user/max_user_namespaces || exit 77
exec setpriv --bounding-set=-all --inh-caps=-all "$@"
"""
STARTS = """
from testbed.errors import TestbedError
from testbed.kubeapi import KubeApi
from testbed.localnode import LocalNode
from testbed.workdir import WorkDir
from pathlib import Path
with WorkDir() as work:
    api = KubeApi(url="https://127.0.0.1:1", ca_file=Path("/dev/null"), token="")
    try:
        LocalNode(api, work, namespaces=[]).start()
    except TestbedError as error:
        print(error)
"""


def test_without_the_right_to_mount_it_says_so() -> None:
    confined = ["unshare", "--map-root-user", "sh", "-c", CONFINED, "sh"]
    done = subprocess.run(
        [*confined, sys.executable, "-c", STARTS], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip("this machine does not let the test take rights away")
    assert "must be root or be allowed to make user namespaces" in done.stdout, done.stderr
