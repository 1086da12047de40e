"""The engine reproduces the normative vectors, and so does the plain reading of the formulas."""

import json
from pathlib import Path

import numpy as np
import pytest

from learnops.domain.evidence import anytime, counters
from learnops.domain.evidence import types as evidence_types
from tests.golden.evidence import reference

FILES = sorted(Path(__file__).parent.glob("*.json"))
TOLERANCE = 1e-9


def plan_of(vector):
    plan = vector["plan"]
    ramp = tuple(
        evidence_types.RampTest(share_percent=float(index + 1), margin=margin)
        for index, margin in enumerate(plan["ramp_margins"])
    )
    return evidence_types.TestPlan(margin=plan["margin"], tolerance=plan["tolerance"], ramp=ramp)


def log_es(state):
    evidence = state.evidence()
    ramp = [decision.log_e for decision in evidence.ramp.values()]
    return [evidence.rollback.log_e, evidence.promote.log_e, *ramp]


def run_anytime(vector):
    runs = vector["input"]
    columns = {
        "is_candidate": np.array([run["candidate"] for run in runs]),
        "propensity": np.array([run["propensity"] for run in runs]),
        "loss": np.array([run["loss"] for run in runs]),
        "void": np.array([run.get("void", False) for run in runs]),
    }
    state, answer = anytime.start(plan_of(vector)), []
    for first in range(0, len(runs) - 9, 10):
        rows = slice(first, first + 10)
        block = {name: column[rows] for name, column in columns.items()}
        seq = np.arange(first + 1, first + 11)
        state = anytime.advance(state, evidence_types.Observations(seq=seq, **block))
        answer.append(log_es(state))
    return answer


def run_counters(vector):
    state, answer = counters.start(plan_of(vector), first_revision=1), []
    for given in vector["input"]:
        sums = {
            arm: counters.ArmSums(
                n=len(given[arm]), s=sum(given[arm]), q=sum(x * x for x in given[arm])
            )
            for arm in ("candidate", "control")
        }
        increment = counters.CounterIncrement(
            revision=given["epoch"], propensity=given["propensity"], **sums
        )
        state = counters.absorb(state, increment)
        answer.append(log_es(state))
    return answer


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_engine_reproduces_the_vectors(path):
    vector = json.loads(path.read_text())
    assert vector["engineVersion"] == evidence_types.ENGINE_VERSION
    run = run_anytime if vector["method"] == "Anytime" else run_counters
    np.testing.assert_allclose(run(vector), vector["logE"], rtol=0, atol=TOLERANCE)


def test_files_are_what_the_reference_says():
    stored = {path.stem: json.loads(path.read_text()) for path in FILES}
    fresh = reference.vectors()
    assert stored.keys() == fresh.keys()
    for name, vector in fresh.items():
        assert stored[name]["input"] == vector["input"]
        np.testing.assert_allclose(stored[name]["logE"], vector["logE"], rtol=0, atol=TOLERANCE)


def test_vectors_reach_decisions_in_both_directions():
    """A vector in which nothing ever happens would prove little."""
    by_name = {path.stem: json.loads(path.read_text())["logE"] for path in FILES}
    assert max(row[1] for row in by_name["better-on-a-ramp"]) > np.log(1 / 0.0304)
    assert max(row[0] for row in by_name["worse-at-ten-percent"]) > np.log(1 / 0.05)
    assert max(row[1] for row in by_name["counters-over-two-epochs"]) > 1.0
