"""The shadow stage between SDK, api and run log: a pair for a run, and never traffic."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, current_thread, main_thread
from typing import Any

import psutil
import psycopg
import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.client import Learner, Options, Run
from learnops.domain.observed import Key
from learnops.ports.runlog import PairRows
from learnops.server.deadline import ANSWER_SECONDS
from learnops.server.models import MAX_BATCH
from testbed.waiting import wait_until as wait_until_by
from tests.integration.server.conftest import TOKEN, Answer, Api
from tests.live_doer import SALT, LiveDoer


def wait_until(check: Callable[[], Any], what: str) -> Any:
    return wait_until_by(check, what=what, deadline_seconds=30)


@pytest.fixture
def learner(api: Api, world: LiveDoer) -> Iterator[Learner]:
    """A learner whose doer is in the shadow stage of planner-v2."""
    in_shadow(world)
    world.renew_lease(create=True)
    options = Options(shadow_waiting=2)
    with Learner(
        "planner", api=api.url, token=TOKEN, namespace=world.namespace, options=options
    ) as made:
        wait_until(lambda: made.stats()["revision"] == 3, what="the shadow stage in the SDK")
        wait_until(lambda: made.stats()["snapshot_seconds_left"], what="a live operator")
        yield made


def in_shadow(world: LiveDoer) -> None:
    """planner-v2 runs beside planner-v1, which answers everything."""
    shares = [{"policy": "planner-v1", "percent": 100}]
    told = {"revision": 3, "salt": SALT, "canary": "planner-canary", "shares": shares}
    world.status("doers", "planner", {"traffic": {**told, "shadow": "planner-v2"}})


def pairs(world: LiveDoer) -> list[tuple[int, str, float | None]]:
    with psycopg.connect(world.database) as connection:
        return connection.execute(
            "SELECT seq, run_id, reported_loss FROM shadow_pairs WHERE rollout = %s ORDER BY seq",
            (SALT,),
        ).fetchall()


def resolved(world: LiveDoer) -> PairRows:
    """The pairs as the operator reads them."""

    async def read() -> PairRows:
        pool = make_pool(world.database, application="test", max_size=1)
        await pool.open()
        try:
            key = Key(namespace=world.namespace, doer="planner")
            return await PostgresRunLog(pool).shadow_pairs(
                key=key, rollout=SALT, after=0, limit=100
            )
        finally:
            await pool.close()

    return asyncio.run(read())


def test_the_candidate_runs_beside_control_and_is_no_traffic(
    api: Api, world: LiveDoer, learner: Learner
) -> None:
    seen: list[tuple[str, bool, bool]] = []

    @learner.agent
    def plan(run: Run, task: str) -> str:
        seen.append((run.policy.name, run.dry_run, current_thread() is main_thread()))
        grounding = 0.4 if run.dry_run else 0.8
        run.finish(metrics={"grounding": grounding, "contradictions": 0})
        return f"{task} by {run.policy.name}"

    assert plan("a bridge") == "a bridge by planner-v1"
    assert learner.flush(30)
    assert seen == [("planner-v1", False, True), ("planner-v2", True, False)]
    ((seq, run_id, loss),) = pairs(world)
    assert seq == 1
    assert loss == pytest.approx(0.45)
    rows = resolved(world)
    assert list(rows.seq) == [1]
    assert list(rows.candidate_loss) == pytest.approx([0.45])
    assert list(rows.control_loss) == pytest.approx([0.15])
    stored = api.get(f"/v1/runs/{run_id}?namespace={world.namespace}").body
    assert (stored["policy"], stored["arm"], stored["rollout"]) == ("planner-v1", "control", None)
    count = api.series("learnops_runs_total", namespace=world.namespace, arm="candidate")
    assert (count or 0.0) == 0.0


def test_a_candidate_that_raises_harms_no_answer_and_counts_as_worst(
    world: LiveDoer, learner: Learner
) -> None:
    @learner.agent
    def plan(run: Run) -> str:
        if run.dry_run:
            raise RuntimeError("the candidate's prompt breaks the agent")
        run.finish(metrics={"grounding": 0.8, "contradictions": 0})
        return "well"

    assert plan() == "well"
    assert learner.flush(30)
    ((_seq, _run, loss),) = pairs(world)
    assert loss == 1.0


def test_more_candidates_than_may_wait_are_left_out(world: LiveDoer, learner: Learner) -> None:
    go_on = Event()

    @learner.agent
    def plan(run: Run) -> None:
        if run.dry_run:
            assert go_on.wait(30)
        run.finish(metrics={"grounding": 0.8, "contradictions": 0})

    for _ in range(9):
        plan()  # not held up by the candidate that waits
    go_on.set()
    assert learner.flush(30)
    assert 2 <= len(pairs(world)) <= 3


def test_a_candidate_that_tells_nothing_in_time_counts_as_worst(api: Api, world: LiveDoer) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("UPDATE shadow_deployments SET maturation_seconds = 1")
    in_shadow(world)
    body = {"namespace": world.namespace, "doer": "planner", "rollout": SALT}
    opened: list[str] = []

    def tried() -> Any:
        opened.extend(api.post("/v1/shadows", {**body, "runIds": ["r1", "r2"]}).body["opened"])
        return opened

    wait_until(tried, what="the shadow stage in the api")
    assert opened == ["r1", "r2"]
    assert api.post("/v1/runs", world.bundle("r1")).status == 201
    wait_until(lambda: len(resolved(world).seq) == 2, what="their time")
    rows = resolved(world)
    assert list(rows.candidate_loss) == [1.0, 1.0]
    assert list(rows.control_loss) == pytest.approx([0.15, 1.0])
    late = world.bundle("r1", policy="planner-v2", metrics={"grounding": 1, "contradictions": 0})
    assert report(api, late)["status"] == "accepted"
    assert list(resolved(world).candidate_loss) == [1.0, 1.0]


def worked(api: Api, world: LiveDoer) -> float:
    """Seconds that the api, and Postgres for it, have had a processor."""
    with psycopg.connect(world.database) as connection:
        sessions = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    seconds = 0.0
    for pid in (api.process.pid, *(pid for (pid,) in sessions)):
        with suppress(psutil.NoSuchProcess):  # a session that has ended since
            times = psutil.Process(pid).cpu_times()
            seconds += times.user + times.system
    return seconds


def test_the_longest_batch_is_stored_before_the_deadline(api: Api, world: LiveDoer) -> None:
    """On a machine that does nothing else; elsewhere it is sent again, as callers are told to."""
    in_shadow(world)
    body = {"namespace": world.namespace, "doer": "planner", "rollout": SALT}
    names = [f"r{number}" for number in range(MAX_BATCH)]
    wait_until(
        lambda: api.post("/v1/shadows", {**body, "runIds": names[:1]}).body["opened"],
        what="the shadow stage in the api",
    )
    for start in range(0, MAX_BATCH, 1000):
        part = {**body, "runIds": names[start : start + 1000]}
        assert api.post("/v1/shadows", part).status == 200
    told = [world.bundle(name, policy="planner-v2") for name in names]
    statuses: list[int] = []

    def answered() -> Answer | None:
        answer = api.post("/v1/shadows:report", {"runs": told})
        statuses.append(answer.status)
        return answer if answer.status == 200 else None

    for status in ("accepted", "duplicate"):
        statuses.clear()
        before = worked(api, world)
        answer = wait_until(answered, what=f"a batch to be {status}")
        # Of all times together: what one has stored, the next has not to do.
        assert worked(api, world) - before < ANSWER_SECONDS, statuses
        assert set(statuses) <= {200, 503}
        known = {status} if statuses == [200] else {status, "duplicate"}
        assert {each["status"] for each in answer.body["results"]} <= known
    told_losses = [loss for _, _, loss in pairs(world)]
    assert len(told_losses) == MAX_BATCH
    assert None not in told_losses


def test_of_two_reports_in_a_batch_the_first_counts(api: Api, world: LiveDoer) -> None:
    in_shadow(world)
    body = {"namespace": world.namespace, "doer": "planner", "rollout": SALT, "runIds": ["r1"]}
    wait_until(
        lambda: api.post("/v1/shadows", body).body["opened"], what="the shadow stage in the api"
    )
    first = world.bundle("r1", policy="planner-v2")
    other = {**first, "metrics": {"grounding": 0.1, "contradictions": 0}}
    answer = api.post("/v1/shadows:report", {"runs": [first, first, other]}).body["results"]
    assert [each["status"] for each in answer] == ["accepted", "duplicate", "conflict"]
    ((_, _, loss),) = pairs(world)
    assert loss == pytest.approx(0.15)


def report(api: Api, bundle: dict[str, object]) -> dict[str, Any]:
    found: dict[str, Any] = api.post("/v1/shadows:report", {"runs": [bundle]}).body["results"][0]
    return found


def test_what_is_no_pair_is_refused_by_name(api: Api, world: LiveDoer, learner: Learner) -> None:
    body = {"namespace": world.namespace, "doer": "planner", "rollout": SALT, "runIds": ["r1"]}
    assert api.post("/v1/shadows", body).body == {"opened": ["r1"]}
    assert api.post("/v1/shadows", body).body == {"opened": []}
    other = {**body, "rollout": "another", "runIds": ["r2"]}
    assert api.post("/v1/shadows", other).body == {"opened": []}
    told = world.bundle("r1", policy="planner-v2")
    refused = report(api, world.bundle("r1"))
    assert refused["problem"]["field"] == "policy"
    assert "must be the candidate of the pair, 'planner-v2'" in refused["problem"]["detail"]
    refused = report(api, {**told, "doer": "judge"})
    assert refused["problem"]["detail"] == (
        "doer: is 'judge', but the run is another doer's; name that one"
    )
    refused = report(api, {**told, "runId": "never"})
    assert "has no open pair" in refused["problem"]["detail"]
    assert report(api, told)["status"] == "accepted"
    assert report(api, told)["status"] == "duplicate"
    assert report(api, {**told, "metrics": {}})["status"] == "conflict"


def test_the_report_compares_all_terms(api: Api, world: LiveDoer) -> None:
    spec = {
        "doerRef": {"name": "planner"},
        "candidateRefs": [{"name": "planner-v2"}],
        "strategy": {"shadow": {"minRuns": 10}},
    }
    made = world.create("canarydeployments", "CanaryDeployment", "planner-canary", spec)
    began = {"startTime": "2026-01-01T00:00:00Z"}
    world.status("canarydeployments", "planner-canary", {"stage": "Shadow", "shadow": began})
    with psycopg.connect(world.database) as connection:
        # One resolved pair of this very canary, whose uid is not that of the world's rollout.
        connection.execute(
            "INSERT INTO shadow_deployments SELECT (jsonb_populate_record(d, %s)).*"
            " FROM shadow_deployments d",
            (f'{{"id": "{made["metadata"]["uid"]}.0"}}',),
        )
        connection.execute(
            "INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id, reported_loss,"
            " breakdown, content_hash, resolved_at, candidate_loss, control_loss) VALUES"
            " (%s, 1, %s, 'planner', 'r1', 0.5, %s, 'x', now(), 0.5, 0.15)",
            (
                f"{made['metadata']['uid']}.0",
                world.namespace,
                '{"terms": {"grounding": 0.5, "toxicity": 1}}',
            ),
        )
    assert api.post("/v1/runs", world.bundle("r1")).status == 201
    path = f"/v1/canaries/planner-canary?namespace={world.namespace}"

    def told() -> Any:
        return (api.get(path).body.get("shadow") or {}).get("terms")

    wait_until(told, what="the shadow stage in the report")
    (term,) = told()
    assert term == {
        "term": "grounding",
        "candidate": 0.5,
        "control": pytest.approx(0.2),
        "pairs": 1,
    }
