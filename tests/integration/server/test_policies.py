"""The content of a policy for an agent behind no SDK: asked again, it is sent only when changed."""

from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import LiveDoer


def test_content_with_an_etag(api: Api, world: LiveDoer) -> None:
    path = f"/v1/policies/planner-v1?namespace={world.namespace}"
    world.status("policies", "planner-v1", {"digest": "v1:abc", "stage": "Active"})
    wait_until(
        lambda: api.get(path).body["stage"] == "Active",
        what="the api to see the stage",
        deadline_seconds=30,
    )
    first = api.get(path)
    assert first.body == {
        "namespace": world.namespace,
        "name": "planner-v1",
        "doer": "planner",
        "parent": None,
        "lineage": [],
        "stage": "Active",
        "digest": "v1:abc",
        "version": "1.0.0",
        "prompts": {"variants": [{"name": "base", "system": "Plan, version 1.", "fewShot": []}]},
        "models": {},
        "hparams": {},
        "toolsAllowlist": ["search"],
    }
    known = {"If-None-Match": first.headers["ETag"]}
    again = api.get(path, headers=known)
    assert (again.status, again.body) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    world.status("policies", "planner-v1", {"stage": "Archived"})
    wait_until(
        lambda: api.get(path, headers=known).status == 200,
        what="the other stage",
        deadline_seconds=30,
    )
    other = api.get("/v1/policies/planner-v2?namespace=" + world.namespace, headers=known)
    assert (other.status, other.body["version"]) == (200, "2.0.0")
