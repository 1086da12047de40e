"""Two hundred doers on one api: the number of series is theirs, whatever agents send with a run."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from learnops.adapters.postgres.migrate import upgrade
from testbed.kubeapi import Json, KubeApi
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.server.conftest import Api, launch
from tests.monitoring import promtool

DOERS = 200
WITH_CANDIDATE = 20
RUNS = 6  # of each arm: each from another tenant, session and trace
CREATORS = 8
KEEP_SECONDS = 2
WEIGHTS = {"gatePassRate": "1", "contradictions": "1", "grounding": "1"}
# Of an arm: loss 22, duration 14, assignments, runs, sum, cost, and a term each.
SERIES_OF_AN_ARM = 22 + 14 + 4 + len(WEIGHTS)
# What does not grow with doers: per route and status, per queue, per kind of personal data.
SERIES_OF_THE_PROCESS = 500
OWN_LABELS = {"namespace", "doer", "policy", "arm", "term", "le"}
ODD = [
    "Ünïcøde-Ltd",
    "零一二三",
    "тест\u200bтест",
    'quo"te\\back',
    "new\nline",
    "🦊" * 20,
    "\u202eltr",
    "a" * 200,
]


@pytest.fixture
def api(crds: Stack, database: str, namespace: str, tmp_path: Path) -> Iterator[Api]:
    """A running api that forgets series soon."""
    upgrade(database)
    running = launch(
        url=database,
        kubeconfig=crds.plane.kubeconfig,
        namespace=namespace,
        log=tmp_path / "api.log",
        flags=("--keep-series-seconds", str(KEEP_SECONDS), "--ttl-seconds", "0"),
    )
    running.start()
    yield running
    running.process.stop()


def test_series_are_bounded_by_doers_and_go_with_their_policies(
    api: Api, crds: Stack, namespace: str
) -> None:
    objects = Objects(api=crds.plane.api, namespace=namespace)
    with ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(lambda number: create(objects, number), range(DOERS)))
    wait_until(lambda: seen(api, namespace), what="the api to see all doers", deadline_seconds=30)
    planted = [report(api, namespace, number) for number in range(DOERS)]

    text = exposition(api)
    code, told = promtool("check", "metrics", stdin=text)
    assert (code, told) == (0, "")
    series = samples(text)
    by_doer = Counter(labels["doer"] for _name, labels in series if "doer" in labels)
    assert len(by_doer) == DOERS
    for number in range(DOERS):
        arms = 2 if number < WITH_CANDIDATE else 1
        assert by_doer[f"doer-{number}"] <= arms * SERIES_OF_AN_ARM
    others = sum("doer" not in labels for _name, labels in series)
    assert others <= SERIES_OF_THE_PROCESS
    assert {name for _name, labels in series if "doer" in labels for name in labels} == OWN_LABELS
    assert [one for sent in planted for one in sent if one in text] == []

    before = len(series)
    report(api, namespace, 0)  # the same doers once more: nothing new
    create_none_by_names(api, namespace)
    assert len(samples(exposition(api))) - before <= 5  # another status of a route

    for number in range(WITH_CANDIDATE):
        archive(objects.api, objects.path("policies", f"doer-{number}-v2"))
    wait_until(
        lambda: not any("-v2" in labels.get("policy", "") for labels in labels_of(api)),
        what="series of archived policies to go",
        deadline_seconds=30,
    )
    left = Counter(labels["doer"] for labels in labels_of(api) if "doer" in labels)
    assert all(left[f"doer-{number}"] <= SERIES_OF_AN_ARM for number in range(DOERS))
    assert len(left) == DOERS


def create(objects: Objects, number: int) -> None:
    """A doer that serves v1, and the first ones a candidate at one half."""
    doer = f"doer-{number}"
    made = objects.doer(doer, policy=f"{doer}-v1", crl={"weights": WEIGHTS})
    assert made["metadata"]["name"] == doer
    objects.policy(f"{doer}-v1", doer=doer)
    traffic: Json = {
        "revision": 1,
        "active": f"{doer}-v1",
        "shares": [{"policy": f"{doer}-v1", "percent": 100}],
    }
    if number < WITH_CANDIDATE:
        parent = {"name": f"{doer}-v1"}
        objects.policy(f"{doer}-v2", doer=doer, version="2.0.0", parentRef=parent)
    objects.api.merge(objects.path("doers", doer) + "/status", {"status": {"traffic": traffic}})


def seen(api: Api, namespace: str) -> bool:
    return all(
        api.get(f"/v1/snapshot?namespace={namespace}&doer=doer-{number}").status == 200
        for number in range(DOERS - 1, -1, -1)
    )


def report(api: Api, namespace: str, number: int) -> list[str]:
    """Runs of each arm, with everything an agent may tell; what must be found in no series."""
    doer, told = f"doer-{number}", []
    bundles = []
    for arm, version in (("control", 1), ("candidate", 2))[: 1 + (number < WITH_CANDIDATE)]:
        for count in range(RUNS):
            run, tenant = secrets.token_hex(8), f"{ODD[count]}-{secrets.token_hex(4)}"[-200:]
            session = f"s-{secrets.token_hex(8)}"
            told += [run, session, tenant]
            bundles.append(
                bundle(namespace, doer, run, f"{doer}-v{version}")
                | {"arm": arm, "tenant": tenant, "qav": {"question": session}}
            )
    body = {"namespace": namespace, "doer": doer, "runs": [{"runId": one} for one in told[:1]]}
    assert api.post("/v1/assignments", body).status == 200
    answer = api.post("/v1/runs:batch", {"runs": bundles})
    assert [one["status"] for one in answer.body["results"]] == ["accepted"] * len(bundles)
    return told


def bundle(namespace: str, doer: str, run: str, policy: str) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "doer": doer,
        "runId": run,
        "policy": policy,
        "durationMilliseconds": 812,
        "metrics": {"grounding": 0.8, "contradictions": 0, "gatePassRate": 1},
        "costs": {"costUSD": 0.02},
    }


def create_none_by_names(api: Api, namespace: str) -> None:
    """Doers that do not exist, policies that nobody knows, paths that are none."""
    for number in range(50):
        name = f"invented-{number}"
        wrong = bundle(namespace, name, secrets.token_hex(8), "doer-0-v1")
        (result,) = api.post("/v1/runs:batch", {"runs": [wrong]}).body["results"]
        assert result["status"] == "invalid", json.dumps(result)
        api.get(f"/v1/{name}")
        api.get(f"/v1/runs/{name}?namespace={namespace}")


def archive(kube: KubeApi, path: str) -> None:
    kube.merge(f"{path}/status", {"status": {"stage": "Archived"}})


def exposition(api: Api) -> str:
    return str(api.get("/metrics", token=None).body)


def samples(text: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (sample.name, sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def labels_of(api: Api) -> list[dict[str, str]]:
    return [labels for _name, labels in samples(exposition(api))]
