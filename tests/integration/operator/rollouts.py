"""What the stories share: objects as they begin, and waiting for what they come to."""

from collections.abc import Callable
from typing import Any

import psycopg

from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects

FAST: Json = {
    "strategy": {"canary": {"steps": [10, 50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 60, "minCandidateRuns": 20},
}
# Half of the runs at once: a verdict after few of them.
HALF: Json = {**FAST, "strategy": {"canary": {"steps": [50], "stepSeconds": 0}}}


def status(objects: Objects, plural: str, name: str) -> Json:
    """What an object tells; empty before the operator has looked at it."""
    found: Json = objects.get(plural, name).get("status", {})
    return found


def condition(told: Json, kind: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    found = next((one for one in told.get("conditions", []) if one["type"] == kind), None)
    return (found["status"], found["reason"]) if found else ("", "")


def message(told: Json, kind: str) -> str:
    """The message of a condition."""
    found: str = next(one["message"] for one in told["conditions"] if one["type"] == kind)
    return found


def wait_status(
    objects: Objects,
    plural: str,
    name: str,
    expected: Callable[[Json], Any],
    *,
    what: str,
    seconds: float = 30,
) -> Json:
    """Wait until an object's status is as expected; the status."""
    return wait_until(
        lambda: (told := status(objects, plural, name)) and expected(told) and told,
        what=what,
        deadline_seconds=seconds,
        explain=lambda: str(objects.get(plural, name)),
    )


def wait_stage(
    objects: Objects, plural: str, name: str, stage: str, *, seconds: float = 30
) -> Json:
    """Wait until a policy or a canary is in a stage; its status."""
    return wait_status(
        objects,
        plural,
        name,
        lambda told: told.get("stage") == stage,
        what=f"{name}: {stage}",
        seconds=seconds,
    )


def first_policy(objects: Objects, *, rollout: Json = FAST, **spec: Any) -> Json:
    """Apply a doer and its first policy; the doer's status once it serves it."""
    objects.doer(rollout=rollout, **spec)
    objects.policy("planner-v1")
    return serves(objects, "planner-v1")


def serves(objects: Objects, *policies: str, doer: str = "planner") -> Json:
    """Wait until the doer serves exactly these policies, the first as control; its status."""
    return wait_status(
        objects,
        "doers",
        doer,
        lambda told: [one["policy"] for one in shares(told)] == list(policies),
        what=f"{doer} to serve {' and '.join(policies)}",
        seconds=60,
    )


def shares(told: Json) -> list[Json]:
    """The shares in a doer's status; empty before it serves anything."""
    found: list[Json] = told.get("traffic", {}).get("shares", [])
    return found


def second_policy(objects: Objects, name: str = "planner-v2", **spec: Any) -> Json:
    """Apply a candidate of planner-v1."""
    return objects.policy(name, version="2.0.0", parentRef={"name": "planner-v1"}, **spec)


def follow(objects: Objects, policy: str, *, doer: str = "planner") -> None:
    """What a merge that changes policyRef does."""
    objects.api.merge(objects.path("doers", doer), {"spec": {"policyRef": {"name": policy}}})


def order(objects: Objects, kind: str, id_: str, *, canary: str = "c1") -> None:
    """Set spec.action of a canary."""
    action = {"type": kind, "id": id_}
    objects.api.merge(objects.path("canarydeployments", canary), {"spec": {"action": action}})


def set_run(objects: Objects, run: str, *, canary: str = "c1") -> None:
    """Pause or resume a canary."""
    objects.api.merge(objects.path("canarydeployments", canary), {"spec": {"run": run}})


def by_hand(objects: Objects, *, rollout: Json = FAST) -> None:
    """A doer with its first policy, and a canary that a person made, with its first traffic."""
    first_policy(objects, rollout=rollout)
    second_policy(objects)
    objects.canary(**rollout)
    serves(objects, "planner-v1", "planner-v2")
    wait_stage(objects, "canarydeployments", "c1", "Canary")


def canaries(objects: Objects) -> list[Json]:
    """All canaries."""
    found: list[Json] = objects.api.get(objects.path("canarydeployments"))["items"]
    return found


def canary_of(objects: Objects, candidate: str) -> str:
    """The name of the only canary of a candidate."""
    (name,) = (
        one["metadata"]["name"]
        for one in canaries(objects)
        if one["spec"]["candidateRefs"] == [{"name": candidate}]
    )
    found: str = name
    return found


def wait_event(objects: Objects, name: str, reason: str) -> Json:
    """Wait for an Event about an object; the only one with that reason."""
    found = wait_until(
        lambda: [one for one in objects.events(name) if one["reason"] == reason],
        what=f"the Event {reason} about {name}",
        deadline_seconds=30,
        explain=lambda: str([(one["reason"], one["note"]) for one in objects.events(name)]),
    )
    assert len(found) == 1, found
    return found[0]


def record(objects: Objects, database: str, *, doer: str = "planner") -> list[tuple[str, str]]:
    """The doer's rows of `policy_promotions`, oldest first: policy and stage."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT policy_id, to_stage FROM policy_promotions"
            " WHERE namespace = %s AND doer = %s ORDER BY id",
            (objects.namespace, doer),
        ).fetchall()
    return [(policy, stage) for policy, stage in rows]


def passes(metrics: str) -> float:
    """How many passes ended well."""
    line = 'learnops_reconcile_total{kind="Doer",result="done"} '
    return sum(
        float(one.removeprefix(line)) for one in metrics.splitlines() if one.startswith(line)
    )


def seen(objects: Objects, plural: str, name: str) -> Json:
    """Wait until the operator has looked at an object as it is now; its status."""
    generation = objects.get(plural, name)["metadata"]["generation"]
    return wait_status(
        objects,
        plural,
        name,
        lambda told: told.get("observedGeneration") == generation,
        what=f"the operator to look at {name}",
    )
