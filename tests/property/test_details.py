"""Whatever an agent reports, the api takes the run, and no malformed detail makes it better."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learnops.client.assignment import Assignment
from learnops.client.bundle import Outcome, encode
from learnops.client.policy import Policy
from learnops.client.telemetry import Telemetry
from learnops.domain.bundle_limits import BODY_BYTES
from learnops.domain.crl.terms import METRICS, Term
from learnops.domain.crl.yardstick import Budget, Weights, Yardstick
from learnops.server.models import Bundle
from learnops.server.scoring import score_bundle

EVERY_TERM = Yardstick(
    weights=Weights(by_term=dict.fromkeys(Term, 1.0)),
    budget=Budget(cost_usd=1.0, latency_milliseconds=1000.0),
)
ODD_TEXT = st.text(st.characters(codec=None), max_size=20)  # surrogates and NUL among them
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.sampled_from([Decimal("0.5"), Decimal("NaN"), np.float32(0.5), np.bool_(True)]),
    st.sampled_from([object(), b"bytes", np.zeros(3), 1j, {1, 2}]),
    ODD_TEXT,
    st.just("x" * 65_537),
)
NAME = st.one_of(
    st.sampled_from([*METRICS, "costUSD", "maxCostUSD", "maxDurationMilliseconds", "name"]),
    ODD_TEXT,
    st.just("n" * 129),
    st.integers(),
    st.none(),
)
JUNK = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(NAME, inner, max_size=4),
        st.dictionaries(NAME, inner, max_size=2).map(MappingProxyType),
        st.tuples(inner),
    ),
    max_leaves=12,
)
GATES = st.lists(
    st.one_of(
        JUNK,
        st.fixed_dictionaries(
            {"name": ODD_TEXT, "passed": st.one_of(st.booleans(), SCALAR)}, optional={"why": JUNK}
        ),
    ),
    max_size=5,
)
SECTION = st.one_of(JUNK, st.dictionaries(NAME, JUNK, max_size=5))


def reported(**given):
    """What the api gets of a run, and what the SDK counted."""
    telemetry = Telemetry()
    sections = Outcome(**given).sections(elapsed_milliseconds=1.0, costs={}, telemetry=telemetry)
    body = encode(
        sections,
        identity={"namespace": "agents", "doer": "planner"},
        assignment=Assignment(
            policy=Policy(name="planner-v1"),
            arm="control",
            propensity=0.5,
            revision=1,
            rollout="canary-1",
            run_id="r",
        ),
        tenant=None,
        telemetry=telemetry,
    )
    assert len(body) <= BODY_BYTES
    return Bundle.model_validate(json.loads(body)), telemetry.counts()


def loss(bundle):
    return score_bundle(bundle, EVERY_TERM).loss


@settings(max_examples=300)
@given(
    metrics=SECTION,
    costs=SECTION,
    qav=SECTION,
    budget=SECTION,
    gates=st.one_of(JUNK, GATES),
    artifacts=JUNK,
    signals=SECTION,
    duration=SCALAR,
)
def test_the_api_takes_whatever_is_reported(duration, **given):
    bundle, _ = reported(**given, duration_milliseconds=duration)
    assert 0.0 <= loss(bundle) <= 1.0


GOOD = {
    "metrics": {"grounding": 1.0, "contradictions": 0, "latencyP95Milliseconds": 100},
    "costs": {"costUSD": 0.1},
    "gates": [{"name": "compiles", "passed": True}],
}


@given(name=st.sampled_from(sorted(METRICS)), value=JUNK)
def test_a_malformed_metric_is_never_better_than_the_worst_or_what_it_says(name, value):
    bundle, counted = reported(metrics={name: value})
    if "details_dropped" in counted:
        assert name not in bundle.metrics
        assert loss(bundle) == 1.0  # nothing else was reported either


def says_so(gate):
    passed = gate.get("passed") if isinstance(gate, Mapping) else None
    return isinstance(passed, int | np.bool_) and bool(passed == 1)


@given(gates=GATES)
def test_no_more_gates_pass_than_say_so(gates):
    bundle, _ = reported(gates=gates)
    assert len(bundle.gates) == len(gates)
    assert sum(gate.passed for gate in bundle.gates) <= sum(map(says_so, gates))


@given(section=st.sampled_from(["metrics", "costs", "qav"]), junk=JUNK)
def test_one_malformed_entry_costs_no_other(section, junk):
    entry = {"somethingElse": junk}
    bundle, _ = reported(**{**GOOD, section: {**GOOD.get(section, {}), **entry}})
    assert math.isclose(loss(bundle), loss(reported(**GOOD)[0]))


@given(name=st.sampled_from(["maxCostUSD", "maxDurationMilliseconds"]), value=SCALAR)
def test_a_budget_that_cannot_be_read_makes_no_run_look_better(name, value):
    """By the doer's budget its cost would be none over it; by what the run meant it may."""
    bundle, counted = reported(**GOOD, budget={name: value})
    term = "costOverBudget" if name == "maxCostUSD" else "latencyP95"
    scored = score_bundle(bundle, EVERY_TERM)
    assert (term in scored.missing) == ("details_dropped" in counted)
