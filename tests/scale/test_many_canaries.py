"""Two hundred CanaryDeployments at once: all are reconciled, and then nothing is asked or written.

One canary at a time has a doer's traffic, so each has a doer of its own.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from testbed.exposition import total
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.conftest import Start
from tests.integration.operator.process import OperatorProcess

COUNT = 200
OLDEST_SECONDS = 10.0
LEASE_SECONDS = 15
CREATORS = 8  # requests of the user side by side
KINDS = ("doers", "policies", "canarydeployments")


def test_two_hundred_canaries_at_once(objects: Objects, start_operator: Start) -> None:
    operator = start_operator(tick_seconds="2", lease_seconds=str(LEASE_SECONDS))
    operator.wait_phase("active")
    with ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(lambda number: create(objects, number), range(COUNT)))
    wait_until(
        lambda: live(objects) == COUNT,
        what=f"{COUNT} canaries to have traffic",
        deadline_seconds=120,
        interval_seconds=1.0,
        explain=lambda: explain(objects, operator),
    )
    wait_unchanged(operator)
    check_reconciled(objects)
    check_none_left_behind(operator)
    check_no_error(operator)
    check_steady(objects, operator)
    check_no_error(operator)


def create(objects: Objects, number: int) -> None:
    doer = f"doer-{number}"
    objects.doer(doer, policy=f"{doer}-v1")
    objects.policy(f"{doer}-v1", doer=doer)
    parent = {"name": f"{doer}-v1"}
    objects.policy(f"{doer}-v2", doer=doer, version="2.0.0", parentRef=parent)
    spec: Json = {"doerRef": {"name": doer}, "candidateRefs": [{"name": f"{doer}-v2"}]}
    objects.create("canarydeployments", f"{doer}-try", spec)


def listed(objects: Objects, plural: str) -> list[Json]:
    found: list[Json] = objects.api.get(objects.path(plural))["items"]
    return found


def live(objects: Objects) -> int:
    """Canaries that have traffic."""
    stages = (one.get("status", {}).get("stage") for one in listed(objects, "canarydeployments"))
    return sum(stage == "Canary" for stage in stages)


def explain(objects: Objects, operator: OperatorProcess) -> str:
    """The canaries without traffic, their doers, and what the operator says of itself."""
    pending = [
        one
        for one in listed(objects, "canarydeployments")
        if one.get("status", {}).get("stage") != "Canary"
    ]
    doers = {one["spec"]["doerRef"]["name"] for one in pending}
    told = [str(one) for one in pending]
    told += [str(one) for one in listed(objects, "doers") if one["metadata"]["name"] in doers]
    told += [str(line) for line in operator.lines() if str(line.get("key")).split("/")[-1] in doers]
    if operator.process.running:
        said = operator.metrics().splitlines()
        told += [
            line for line in said if line.startswith(("learnops_queue", "learnops_reconcile_t"))
        ]
    return "\n".join([*told, operator.process.log_tail(lines=5)])


def check_reconciled(objects: Objects) -> None:
    """Each canary says where it is and why; each doer serves both policies."""
    for canary in listed(objects, "canarydeployments"):
        status = canary["status"]
        assert status["observedGeneration"] == 1
        assert {one["type"] for one in status["conditions"]} >= {"Ready", "Reconciling", "Stalled"}
        assert status["waitingFor"]
    for doer in listed(objects, "doers"):
        percents = [one["percent"] for one in doer["status"]["traffic"]["shares"]]
        assert percents == [95, 5]
    stages = Counter(one["status"]["stage"] for one in listed(objects, "policies"))
    assert stages == {"Active": COUNT, "Canary": COUNT}


def check_none_left_behind(operator: OperatorProcess) -> None:
    """No key waits for longer than a few ticks; a busy machine may never see the queue empty."""
    wait_until(
        lambda: total(operator.metrics(), "learnops_queue_oldest_seconds") < OLDEST_SECONDS,
        what="every key to have its turn",
        deadline_seconds=60,
    )


def check_no_error(operator: OperatorProcess) -> None:
    """Passes ended well, or met an object that had changed meanwhile and were done again."""
    said = operator.metrics()
    done = total(said, "learnops_reconcile_total", result="done")
    conflicts = total(said, "learnops_reconcile_total", result="conflict")
    assert total(said, "learnops_reconcile_total") == done + conflicts
    assert done >= COUNT
    assert [line for line in operator.lines() if line["level"] not in ("info", "debug")] == []


def check_steady(objects: Objects, operator: OperatorProcess) -> None:
    """Two ticks of all canaries: each is looked at, no object is read or written."""
    began = time.monotonic()
    before, versions = operator.metrics(), stored(objects)
    wait_until(
        lambda: passes(operator.metrics()) >= passes(before) + 2 * COUNT,
        what="two ticks",
        deadline_seconds=60,
    )
    after = operator.metrics()
    assert stored(objects) == versions
    requests = {
        verb: total(after, "learnops_api_requests_total", verb=verb)
        - total(before, "learnops_api_requests_total", verb=verb)
        for verb in ("GET", "POST", "PATCH", "PUT")
    }
    written = requests.pop("PUT")  # the Lease alone: no object changed
    assert requests == {"GET": 0, "POST": 0, "PATCH": 0}
    assert written <= renewals(time.monotonic() - began)


def wait_unchanged(operator: OperatorProcess) -> None:
    """Wait for a tick of all canaries that wrote nothing."""

    def quiet() -> bool:
        began, before = time.monotonic(), operator.metrics()
        wait_until(
            lambda: passes(operator.metrics()) >= passes(before) + COUNT,
            what="a tick",
            deadline_seconds=60,
        )
        written = writes(operator.metrics()) - writes(before)
        return written <= renewals(time.monotonic() - began)

    wait_until(quiet, what="a tick without writes", deadline_seconds=60)


def renewals(seconds: float) -> float:
    """At most so many of the Lease in that time, as it is renewed five times while it holds."""
    return 5 * seconds / LEASE_SECONDS + 2


def passes(metrics: str) -> float:
    return total(metrics, "learnops_reconcile_total", result="done")


def writes(metrics: str) -> float:
    return total(metrics, "learnops_api_requests_total", verb="PUT")


def stored(objects: Objects) -> dict[str, str]:
    """The version of every object."""
    return {
        one["metadata"]["uid"]: one["metadata"]["resourceVersion"]
        for plural in KINDS
        for one in listed(objects, plural)
    }
