"""The snapshot over real HTTP, from a real Doer's status."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from statistics import median

import pytest
from urllib3.util import parse_url

from learnops.server.models import SnapshotAnswer
from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Api
from tests.live_doer import SALT, LiveDoer

HEADER = "X-Learnops-TTL-Seconds"


def path(world: LiveDoer, *, wait: float = 0) -> str:
    return f"/v1/snapshot?namespace={world.namespace}&doer=planner&waitSeconds={wait}"


def test_it_tells_shares_rollout_and_content(api: Api, world: LiveDoer) -> None:
    answer = api.get(path(world))
    assert answer.status == 200
    told = answer.body
    SnapshotAnswer.model_validate(told)  # what the OpenAPI document says
    assert told["revision"] == 2
    assert told["etag"] == f"{told['doerUID']}:2"
    assert answer.headers["ETag"] == f'"{told["etag"]}"'
    assert told["shares"] == [
        {"policy": "planner-v1", "percent": 50},
        {"policy": "planner-v2", "percent": 50},
    ]
    assert told["rollout"] == {
        "id": SALT,
        "canary": "planner-canary",
        "control": "planner-v1",
        "candidate": "planner-v2",
        "candidates": ["planner-v2"],
        "percent": 50,
    }
    assert set(told["policies"]) == {"planner-v1", "planner-v2"}
    prompts = told["policies"]["planner-v2"]["prompts"]
    assert prompts["variants"][0]["system"] == "Plan, version 2."
    assert told["policies"]["planner-v2"]["toolsAllowlist"] == ["search"]


@contextmanager
def sent(api: Api, path: str, headers: Mapping[str, str]) -> Iterator[HTTPConnection]:
    """A GET that has left, on a connection of its own; its answer is still to be taken."""
    url = parse_url(api.url)
    connection = HTTPConnection(url.host or "", url.port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}", **headers})
        yield connection
    finally:
        connection.close()


def test_a_long_poll_ends_within_a_second_of_a_change(api: Api, world: LiveDoer) -> None:
    etag = api.get(path(world)).body["etag"]
    took = []
    for revision in range(3, 8):
        asked = {"If-None-Match": f'"{etag}"'}
        with sent(api, path(world, wait=25), asked) as waiting:
            # Sent later and answered: the api has had the other one for a while.
            assert api.get(path(world, wait=0.2), headers=asked).status == 304
            changed = time.monotonic()
            world.traffic(revision=revision, percent=0)
            answer: HTTPResponse = waiting.getresponse()
            told = json.load(answer)
            took.append(time.monotonic() - changed)
        assert (answer.status, told["revision"], told["rollout"]) == (200, revision, None)
        etag = told["etag"]
    assert median(took) < 1.0, took


def test_a_revision_is_served_once_all_its_policies_were_seen(api: Api, world: LiveDoer) -> None:
    etag = api.get(path(world)).body["etag"]
    asked = {"If-None-Match": f'"{etag}"'}
    world.traffic(revision=3, percent=10, candidate="planner-v3")
    wait_until(
        lambda: api.get(path(world)).status == 503,
        what="the new revision to be seen",
        deadline_seconds=30,
    )
    older = api.get(path(world, wait=0.3), headers=asked)
    # Nobody vouches for the older one any longer: its time to live is not extended.
    assert (older.status, older.headers.get("X-Learnops-TTL-Seconds")) == (304, None)
    missing = api.get(path(world))
    assert (missing.status, missing.body["detail"]) == (503, "policy 'planner-v3' was not seen yet")
    assert missing.headers["Retry-After"] == "1"
    world.create_policy(3)
    answer = api.get(path(world, wait=25), headers=asked)
    assert (answer.status, answer.body["revision"]) == (200, 3)


def test_a_deleted_policy_is_served_while_traffic_names_it(api: Api, world: LiveDoer) -> None:
    world.kube.delete(f"{world.base}/policies/planner-v2")
    gone = f"/v1/policies/planner-v2?namespace={world.namespace}"
    wait_until(
        lambda: api.get(gone).status == 404, what="the deletion to be seen", deadline_seconds=30
    )
    assert set(api.get(path(world)).body["policies"]) == {"planner-v1", "planner-v2"}


def test_the_time_to_live_is_what_the_lease_leaves(api: Api, world: LiveDoer) -> None:
    assert api.get(path(world)).body["ttlSeconds"] == 0.0  # no operator was ever seen
    world.renew_lease(create=True)
    high = wait_until(
        lambda: api.get(path(world)).body["ttlSeconds"],
        what="the Lease to be seen",
        deadline_seconds=30,
    )
    assert 290 < high <= 300
    etag = api.get(path(world)).body["etag"]
    asked = {"If-None-Match": f'"{etag}"'}
    # No renewal: it falls, also as told with a 304.
    first = api.get(path(world, wait=0.5), headers=asked)
    second = api.get(path(world, wait=0.5), headers=asked)
    assert (first.status, second.status) == (304, 304)
    assert float(second.headers[HEADER]) < float(first.headers[HEADER]) < high
    fallen = float(second.headers[HEADER])
    world.renew_lease()
    wait_until(
        lambda: api.get(path(world)).body["ttlSeconds"] > fallen,
        what="the renewal to be seen",
        deadline_seconds=30,
    )


@pytest.mark.parametrize(
    ("doer", "detail"),
    [
        ("nobody", "no Doer 'nobody' in namespace"),
        ("fresh", "Doer 'fresh' has no traffic yet: its condition Ready says what it waits for"),
    ],
)
def test_no_doer_and_no_traffic_are_told_apart(
    api: Api, world: LiveDoer, doer: str, detail: str
) -> None:
    spec = {"policyRef": {"name": "fresh-v1"}, "crl": {"weights": {"grounding": "1"}}}
    world.create("doers", "Doer", "fresh", spec)
    answer = wait_until(
        lambda: (
            found
            if detail
            in (found := api.get(f"/v1/snapshot?namespace={world.namespace}&doer={doer}")).body[
                "detail"
            ]
            else None
        ),
        what=detail,
        deadline_seconds=30,
    )
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
