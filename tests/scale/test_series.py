"""Two hundred doers on one api: the number of series is theirs, whatever agents send with a run."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.domain.assignment import Arm, draw
from learnops.domain.observed import Key
from learnops.domain.plan import CloseRollout, OpenRollout, Tried
from testbed.kubeapi import Json, KubeApi
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.server.conftest import Api, launch
from tests.monitoring import promtool

DOERS = 200
WITH_CANDIDATE = 20
CREATORS = 8
KEEP_SECONDS = 2
WEIGHTS = {"gatePassRate": "1", "contradictions": "1", "grounding": "1"}
# Of an arm: loss 22, duration 14, assignments, runs, sum, cost, and a term each.
SERIES_OF_AN_ARM = 22 + 14 + 4 + len(WEIGHTS)
# What does not grow with doers: per route and status, per queue, per kind of personal data.
SERIES_OF_THE_PROCESS = 500
SERIES_OF_A_ROLLOUT = 2 * 4 + 1  # evidence of both arms, and the lag of their prefix
OWN_LABELS = {"namespace", "doer", "policy", "arm", "term", "le", "epoch", "process"}
ODD = [  # a run from each tenant, by turns of either arm; a line end is refused
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
    api: Api, crds: Stack, namespace: str, database: str
) -> None:
    objects = Objects(api=crds.plane.api, namespace=namespace)
    with ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(lambda number: create(objects, number), range(DOERS)))
    asyncio.run(each_rollout(database, namespace, PostgresRunLog.open_rollout, opened))
    wait_until(lambda: seen(api, namespace), what="the api to see all doers", deadline_seconds=30)
    planted = [report(api, namespace, number) for number in range(DOERS)]

    wait_until(
        # Of the four runs before the one that is refused: both arms of each.
        lambda: sum("epoch" in labels for labels in labels_of(api)) == 2 * 4 * WITH_CANDIDATE,
        what="evidence of each canary to be counted",
        deadline_seconds=30,
    )
    text = exposition(api)
    code, told = promtool("check", "metrics", stdin=text)
    assert (code, told) == (0, "")
    series = samples(text)
    by_doer = Counter(labels["doer"] for _name, labels in series if "doer" in labels)
    assert len(by_doer) == DOERS
    for number in range(DOERS):
        live = number < WITH_CANDIDATE
        most = 2 * SERIES_OF_AN_ARM + SERIES_OF_A_ROLLOUT if live else SERIES_OF_AN_ARM
        assert by_doer[f"doer-{number}"] <= most
    others = sum("doer" not in labels for _name, labels in series)
    assert others <= SERIES_OF_THE_PROCESS
    assert {name for _name, labels in series if "doer" in labels for name in labels} == OWN_LABELS
    assert [one for sent in planted for one in sent if one in text] == []

    before = sum(by_doer.values())
    report(api, namespace, DOERS - 1)  # the same doer once more: nothing new
    invent(api, namespace)
    labelled = labels_of(api)
    assert sum("doer" in labels for labels in labelled) == before
    assert sum("doer" not in labels for labels in labelled) <= SERIES_OF_THE_PROCESS

    with ThreadPoolExecutor(CREATORS) as pool:
        paths = [objects.path("policies", f"doer-{each}-v2") for each in range(WITH_CANDIDATE)]
        list(pool.map(lambda path: archive(objects.api, path), paths))
    asyncio.run(each_rollout(database, namespace, PostgresRunLog.close_rollout, ended))
    wait_until(
        lambda: not any(is_of_a_rollout(labels) for labels in labels_of(api)),
        what="series of archived policies and ended rollouts to go",
        deadline_seconds=30,
    )
    left = Counter(labels["doer"] for labels in labels_of(api) if "doer" in labels)
    assert all(0 < left[f"doer-{number}"] <= SERIES_OF_AN_ARM for number in range(DOERS))
    assert len(left) == DOERS


def create(objects: Objects, number: int) -> None:
    """A doer that serves v1, and the first ones a canary of v2 at one half."""
    doer = f"doer-{number}"
    objects.doer(doer, policy=f"{doer}-v1", crl={"weights": WEIGHTS})
    objects.policy(f"{doer}-v1", doer=doer)
    traffic: Json = {
        "revision": 1,
        "active": f"{doer}-v1",
        "shares": [{"policy": f"{doer}-v1", "percent": 100}],
    }
    if number < WITH_CANDIDATE:
        shares = [{"policy": f"{doer}-v{version}", "percent": 50} for version in (1, 2)]
        traffic |= {"shares": shares, "salt": f"{doer}.0", "canary": f"{doer}-try"}
        parent = {"name": f"{doer}-v1"}
        objects.policy(f"{doer}-v2", doer=doer, version="2.0.0", parentRef=parent)
    objects.api.merge(objects.path("doers", doer) + "/status", {"status": {"traffic": traffic}})


def seen(api: Api, namespace: str) -> bool:
    return all(
        api.get(f"/v1/snapshot?namespace={namespace}&doer=doer-{number}").status == 200
        for number in range(DOERS - 1, -1, -1)
    )


def opened(doer: str) -> OpenRollout:
    return OpenRollout(
        rollout=f"{doer}.0",
        canary=f"{doer}-try",
        canary_uid=f"uid-of-{doer}-try",
        control=f"{doer}-v1",
        candidates=(Tried(name=f"{doer}-v2", identity=f"v1:{doer}", attempt=1),),
        percent=50,
        maturation_seconds=600,
        crl={"weights": WEIGHTS},
    )


def ended(doer: str) -> CloseRollout:
    return CloseRollout(rollout=f"{doer}.0", outcome="RolledBack")


async def each_rollout(
    database: str,
    namespace: str,
    write: Callable[..., Awaitable[None]],
    action: Callable[[str], OpenRollout | CloseRollout],
) -> None:
    """What the operator writes about the rollout of each doer that has one."""
    pool = make_pool(database, application="test", max_size=1)
    await pool.open()
    try:
        for doer in (f"doer-{number}" for number in range(WITH_CANDIDATE)):
            key = Key(namespace=namespace, doer=doer)
            await write(PostgresRunLog(pool), key=key, rollout=action(doer))
    finally:
        await pool.close()


def report(api: Api, namespace: str, number: int) -> list[str]:
    """Runs with everything an agent may tell; what must be found in no series."""
    doer = f"doer-{number}"
    runs = [made_up(doer, control=place % 2 == 0) for place in range(len(ODD))]
    body = {"namespace": namespace, "doer": doer, "runs": [{"runId": run} for run in runs]}
    drawn = api.post("/v1/assignments", body).body["assignments"]
    told, bundles, expected = list(runs), list[Json](), list[str]()
    for odd, found in zip(ODD, drawn, strict=True):
        # Looked for are parts that no escaping changes.
        part, session = secrets.token_hex(8), f"s-{secrets.token_hex(8)}"
        tenant = f"{odd}-{part}"[-200:]
        told += [session, part]
        expected.append("invalid" if "\n" in tenant else "accepted")
        names = {name: found[name] for name in ("arm", "propensity", "rollout", "revision")}
        sent = bundle(namespace, doer, found["runId"], found["policy"])
        bundles.append(sent | names | {"tenant": tenant, "qav": {"question": session}})
    answer = api.post("/v1/runs:batch", {"runs": bundles})
    assert [one["status"] for one in answer.body["results"]] == expected
    return told


def made_up(doer: str, *, control: bool) -> str:
    """A run's name that the doer's canary draws so: by chance alone some doer would have but one
    arm, and no series is left of it once its candidate is gone."""
    return next(
        run
        for run in (secrets.token_hex(8) for _ in count())
        if (draw(f"{doer}.0", run, 50) is Arm.CONTROL) is control
    )


def is_of_a_rollout(labels: dict[str, str]) -> bool:
    return "epoch" in labels or labels.get("policy", "").endswith("-v2")


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


def invent(api: Api, namespace: str) -> None:
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
