"""Evidence of several candidates from one log: what each sees, against the engine fed by hand."""

import json

import numpy as np
import psycopg
import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.evidence.reading import plan_of
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.domain.evidence import anytime
from learnops.domain.evidence.types import Observations
from learnops.domain.observed import EvidenceReading
from learnops.domain.plan import OpenRollout, Tried
from tests.unit.app.models import KEY, canary, doer

ROLLOUT = "c-uid.0"
RUNS = 400
# The shares change after half of the runs: v3 climbs, v2 stays.
PI = [{"v1": 0.6, "v2": 0.2, "v3": 0.2}, {"v1": 0.47, "v2": 0.2, "v3": 0.33}]
ARMS = ["v1", "v2", "v1", "v3", "v1"]
LOSS = {"v1": 0.4, "v2": 0.8, "v3": 0.1}
_INSERT = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, propensities, resolved_at, resolution, loss)
VALUES (%s, %s, 'agents', 'planner', %s, %s, %s, %s, %s, 5, %s, clock_timestamp(), 'Bundle', %s)
"""


def both():
    """The canary of v2 and v3, the second at its second attempt."""
    made = canary(source="RunLog").to_wire()
    made["spec"]["candidateRefs"] = [{"name": "v2"}, {"name": "v3"}]
    made["status"]["candidates"] = [{"name": "v2", "attempt": 1}, {"name": "v3", "attempt": 2}]
    return type(canary()).model_validate(made)


def policies():
    return [ARMS[number % len(ARMS)] for number in range(RUNS)]


def pi_of(number):
    return PI[number >= RUNS // 2]


def log_seen_by(name):
    drawn = np.array(policies())
    return Observations(
        seq=np.arange(1, RUNS + 1, dtype=np.int64),
        is_candidate=drawn == name,
        is_other=(drawn != name) & (drawn != "v1"),
        propensity=np.array([pi_of(number)[name] for number in range(RUNS)]),
        control_propensity=np.array([1 - _any(pi_of(number)) for number in range(RUNS)]),
        loss=np.array([LOSS[policy] for policy in drawn]),
    )


def _any(pi):
    return pi["v2"] + pi["v3"]


@pytest.fixture
async def runlog(database):
    pool = make_pool(database, application="test", max_size=2)
    await pool.open()
    log = PostgresRunLog(pool)
    tries = (("v2", 1), ("v3", 2))
    candidates = tuple(Tried(name=it, identity=it, attempt=attempt) for it, attempt in tries)
    opened = OpenRollout(
        rollout=ROLLOUT,
        canary="c1",
        canary_uid="c-uid",
        control="v1",
        candidates=candidates,
        percent=20,
        maturation_seconds=600,
        crl={},
    )
    await log.open_rollout(key=KEY, rollout=opened)
    rows = []
    for number, policy in enumerate(policies()):
        arm, pi, name = "control" if policy == "v1" else "candidate", pi_of(number), str(number)
        drawn = (arm, policy, _any(pi), json.dumps(pi), LOSS[policy])
        rows.append((ROLLOUT, number + 1, name, name, *drawn))
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)
        cursor.execute("UPDATE shadow_deployments SET next_seq = %s", (RUNS + 1,))
    yield log
    await pool.close()


@pytest.mark.parametrize("name", ["v2", "v3"])
@pytest.mark.parametrize("chunk_runs", [20, 10_000])
async def test_each_candidate_is_judged_as_if_the_others_were_not_there(runlog, name, chunk_runs):
    evidence = RunLogEvidence(runlog=runlog, chunk_runs=chunk_runs)
    found = (await evidence.read(key=KEY, doer=doer(), canary=both(), candidate=name)).evidence
    assert isinstance(found, EvidenceReading), found
    plan = plan_of(both(), candidate=name)
    assert (plan.candidates, plan.attempt) == (2, {"v2": 1, "v3": 2}[name])
    expected = anytime.advance(anytime.start(plan), log_seen_by(name)).evidence()
    assert found.promote.log_e == pytest.approx(expected.promote.log_e, abs=1e-9)
    assert found.rollback.log_e == pytest.approx(expected.rollback.log_e, abs=1e-9)
    assert (found.candidate_runs, found.control_runs) == (RUNS // 5, RUNS * 3 // 5)
    assert found.candidate_loss == pytest.approx(LOSS[name])
    assert found.rollback.threshold == pytest.approx(40.0)
    assert (found.rollback.crossed_at is not None) == (name == "v2")
    assert (found.promote.crossed_at is not None) == (name == "v3")
    assert found.sample_ratio is not None
    runs = np.array([pi_of(number)[name] for number in range(RUNS)])
    shares = runs / (runs + log_seen_by(name).control_propensity)
    counted = ~log_seen_by(name).is_other
    assert found.sample_ratio.expected_share == pytest.approx(shares[counted].mean())
    assert found.sample_ratio.observed_share == pytest.approx(0.25)
