"""The contract of the Kube port, on the real API server and under the operator's rights."""

import asyncio
import signal
from typing import Any

import pytest

from learnops.adapters.kube.rest import MERGE_PATCH, RestClient
from learnops.adapters.kube.writer import KubeWriter
from learnops.domain.plan import FINALIZER, EmitEvent, SetFinalizer
from learnops.ports.kube import ConflictError, GoneError, KubeUnavailableError, RefusedError
from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.objects import Objects


async def write(kube: KubeWriter, raw: Json, status: Json, **change: Any) -> Json:
    """Replace the status of an object as last seen in `raw`."""
    metadata = raw["metadata"]
    told = {
        "kind": raw["kind"],
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resource_version": metadata["resourceVersion"],
        **change,
    }
    return await kube.replace_status(status=status, **told)


async def test_a_status_is_replaced_and_the_stored_object_returned(
    kube: KubeWriter, objects: Objects
) -> None:
    raw = objects.policy()
    first = await write(kube, raw, {"fence": 1, "stage": "Draft", "digest": "v1:a"})
    second = await write(kube, first, {"fence": 1, "stage": "Draft"})
    assert first["metadata"]["resourceVersion"] != raw["metadata"]["resourceVersion"]
    assert "digest" not in second["status"], "replaced, not merged"
    assert second["spec"] == raw["spec"]
    assert objects.get("policies", "planner-v1")["status"] == second["status"]


async def test_a_stale_version_is_a_conflict(kube: KubeWriter, objects: Objects) -> None:
    raw = objects.policy()
    await write(kube, raw, {"fence": 1, "stage": "Draft"})
    with pytest.raises(ConflictError):
        await write(kube, raw, {"fence": 1, "stage": "Active"})
    assert objects.get("policies", "planner-v1")["status"]["stage"] == "Draft"


async def test_another_object_of_the_same_name_is_a_conflict(
    kube: KubeWriter, objects: Objects
) -> None:
    old = objects.policy()
    objects.delete("policies", "planner-v1")
    new = objects.policy()
    with pytest.raises(ConflictError):
        await write(kube, new, {"fence": 1}, uid=old["metadata"]["uid"])


async def test_an_object_that_is_gone_is_gone(kube: KubeWriter, objects: Objects) -> None:
    raw = objects.policy()
    objects.delete("policies", "planner-v1")
    with pytest.raises(GoneError):
        await write(kube, raw, {"fence": 1})


async def test_a_lower_fence_is_refused(kube: KubeWriter, objects: Objects) -> None:
    raw = await write(kube, objects.policy(), {"fence": 5, "stage": "Draft"})
    with pytest.raises(RefusedError, match="newer operator instance") as refused:
        await write(kube, raw, {"fence": 4, "stage": "Active"})
    assert not refused.value.forbidden
    assert objects.get("policies", "planner-v1")["status"]["stage"] == "Draft"


async def test_a_status_that_the_schema_forbids_is_refused(
    kube: KubeWriter, objects: Objects
) -> None:
    with pytest.raises(RefusedError, match="stage") as refused:
        await write(kube, objects.policy(), {"stage": "Nonsense"})
    assert not refused.value.forbidden


async def test_what_rbac_forbids_is_forbidden(rest: RestClient, objects: Objects) -> None:
    objects.policy()
    with pytest.raises(RefusedError, match="cannot delete resource") as refused:
        await rest.call("DELETE", objects.path("policies", "planner-v1"))
    assert refused.value.forbidden


async def test_what_a_person_orders_of_a_canary_is_not_the_operators_to_change(
    rest: RestClient, objects: Objects
) -> None:
    spec = {"doerRef": {"name": "planner"}, "candidateRefs": [{"name": "planner-v2"}]}
    objects.create("canarydeployments", "try", spec)
    path, pause = objects.path("canarydeployments", "try"), {"spec": {"run": "Paused"}}
    with pytest.raises(RefusedError, match="cannot patch resource") as refused:
        await rest.call("PATCH", path, body=pause, content_type=MERGE_PATCH)
    assert refused.value.forbidden


async def test_the_finalizer_comes_and_goes_beside_others(
    kube: KubeWriter, objects: Objects
) -> None:
    raw = objects.create(
        "doers",
        "planner",
        {"policyRef": {"name": "p"}, "crl": {"weights": {"grounding": "1"}}},
        finalizers=["example.com/other"],
    )
    metadata = raw["metadata"]

    async def set_finalizer(*, present: bool) -> list[str]:
        action = SetFinalizer(
            kind="Doer",
            name="planner",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            present=present,
        )
        stored = await kube.set_finalizer(namespace=objects.namespace, action=action)
        finalizers: list[str] = stored["metadata"]["finalizers"]
        return finalizers

    assert await set_finalizer(present=True) == ["example.com/other", FINALIZER]
    assert await set_finalizer(present=True) == ["example.com/other", FINALIZER]
    assert await set_finalizer(present=False) == ["example.com/other"]


async def test_creating_what_is_there_returns_what_is_there(
    kube: KubeWriter, objects: Objects
) -> None:
    there = objects.canary("c1", candidate="planner-v2")
    manifest = {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "CanaryDeployment",
        "metadata": {"name": "c1"},
        "spec": {"doerRef": {"name": "planner"}, "candidateRefs": [{"name": "planner-v3"}]},
    }
    found = await kube.create(
        kind="CanaryDeployment", namespace=objects.namespace, manifest=manifest
    )
    assert found["metadata"]["uid"] == there["metadata"]["uid"]
    manifest["metadata"] = {"name": "c2"}
    made = await kube.create(
        kind="CanaryDeployment", namespace=objects.namespace, manifest=manifest
    )
    assert made["spec"]["candidateRefs"] == [{"name": "planner-v3"}]


async def test_a_list_in_pages_is_whole(
    kube: KubeWriter, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learnops.adapters.kube.writer._PAGE", 3)
    for number in range(8):
        objects.policy(f"planner-v{number}")
    found = await kube.list(kind="Policy")
    assert {one["metadata"]["name"] for one in found} == {f"planner-v{n}" for n in range(8)}
    assert {(one["kind"], one["apiVersion"]) for one in found} == {
        ("Policy", "learnops.dev/v1alpha1")
    }


async def test_events_are_aggregated_and_limited(kube: KubeWriter, objects: Objects) -> None:
    raw = objects.doer()

    async def emit(note: str) -> None:
        event = EmitEvent(
            kind="Doer",
            name="planner",
            uid=raw["metadata"]["uid"],
            type="Normal",
            reason="Promoted",
            note=note,
        )
        await kube.emit(namespace=objects.namespace, event=event)

    for _ in range(4):
        await emit("planner-v2 is active")
    (event,) = objects.events("planner")
    assert event["series"]["count"] == 4
    assert event["regarding"]["kind"] == "Doer"
    assert event["reportingController"] == "learnops.dev/operator"
    await asyncio.gather(*(emit(f"note {number}") for number in range(60)))
    assert len(objects.events("planner")) < 30, "a noisy object is limited"
    await emit("x" * 5000)


async def test_an_event_that_cannot_be_written_is_logged_and_never_raises(
    kube: KubeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    event = EmitEvent(kind="Doer", name="x", uid="u", type="Normal", reason="R", note="n")
    await kube.emit(namespace="no-such-namespace", event=event)
    (lost,) = [one for one in caplog.records if one.message == "event lost"]
    assert "no-such-namespace" in vars(lost)["error"]


async def test_a_server_that_does_not_answer_is_unavailable(
    stack: Stack, kube: KubeWriter, objects: Objects
) -> None:
    raw = objects.policy()
    stack.plane.apiserver.signal(signal.SIGSTOP)
    try:
        impatient = RestClient(api=kube._rest._api, timeout_seconds=0.5)
        with pytest.raises(KubeUnavailableError):
            await impatient.call("GET", objects.path("policies", raw["metadata"]["name"]))
    finally:
        stack.plane.apiserver.signal(signal.SIGCONT)
