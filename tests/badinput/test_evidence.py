"""What cannot be evidence is refused by name, and nothing of it is counted."""

import json
from dataclasses import replace

import numpy as np
import pytest

from learnops.domain.assignment import Arm
from learnops.domain.evidence import anytime, codec, counters, levels
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.errors import EvidenceError
from tests.unit.domain.counted import HALF, sample
from tests.unit.domain.simulate import PLAN, observations

NAN, INF = float("nan"), float("inf")


def broken(column, at, value):
    log = observations(np.random.default_rng(1), runs=25, propensity=0.5)
    changed = getattr(log, column).copy()
    changed[at] = value
    return replace(log, **{column: changed})


LOG_TABLE = [
    ("loss", 3, NAN, "LossNotFinite: loss nan of run seq 4 is not in [0, 1]"),
    ("loss", 3, INF, "LossNotFinite: loss inf of run seq 4"),
    ("loss", 0, -0.01, "LossOutOfRange: loss -0.01 of run seq 1"),
    ("loss", 24, 1.01, "LossOutOfRange: loss 1.01 of run seq 25"),
    ("propensity", 7, 0.0, "PropensityOutOfRange: propensity 0.0 of run seq 8"),
    ("propensity", 7, 1.0, "PropensityOutOfRange: propensity 1.0 of run seq 8"),
    ("propensity", 7, -0.1, "PropensityOutOfRange: propensity -0.1 of run seq 8"),
    ("propensity", 7, 1e-9, "PropensityOutOfRange: propensity 1e-09 of run seq 8"),
    ("propensity", 7, NAN, "PropensityMissing: propensity nan of run seq 8"),
    ("seq", slice(5, None), np.arange(7, 27), "SequenceGap: seq 7 where 6 was due"),
    ("seq", 0, 2, "SequenceGap: seq 2 where 1 was due"),
    ("seq", 5, 5, "SequenceBackwards: seq 5 where 6 was due"),
    ("seq", slice(None), np.arange(-5, 20), "SequenceBackwards: seq -5 where 1 was due"),
]


@pytest.mark.parametrize(("column", "at", "value", "message"), LOG_TABLE)
def test_a_bad_run_is_named_and_nothing_is_counted(column, at, value, message):
    state = anytime.start(PLAN)
    untouched = state.to_dict()
    with pytest.raises(EvidenceError) as error:
        anytime.advance(state, broken(column, at, value))
    assert str(error.value).startswith(message)
    assert error.value.reason.value == message.split(":")[0]
    assert state.to_dict() == untouched


GUARDED = evidence_types.TestPlan(guardrails=(evidence_types.GuardrailTest(term="grounding"),))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (NAN, "TermMissing: term grounding nan of run seq 4 is not in [0, 1]"),
        (1.5, "TermOutOfRange: term grounding 1.5 of run seq 4"),
        (-0.1, "TermOutOfRange: term grounding -0.1 of run seq 4"),
        (-INF, "TermOutOfRange: term grounding -inf of run seq 4"),
    ],
)
def test_a_bad_term_is_named(value, message):
    log = observations(np.random.default_rng(1), runs=20, propensity=0.5)
    terms = np.zeros((20, 1))
    terms[3, 0] = value
    with pytest.raises(EvidenceError) as error:
        anytime.advance(anytime.start(GUARDED), replace(log, terms=terms))
    assert str(error.value).startswith(message)
    void = np.arange(20) == 3
    anytime.advance(anytime.start(GUARDED), replace(log, terms=terms, void=void))


@pytest.mark.parametrize("terms", [None, np.zeros((20, 2)), np.zeros(20)])
def test_terms_that_are_not_those_of_the_plan_are_refused(terms):
    log = observations(np.random.default_rng(1), runs=20, propensity=0.5)
    with pytest.raises(EvidenceError, match="ColumnsMismatch: column terms is"):
        anytime.advance(anytime.start(GUARDED), replace(log, terms=terms))


@pytest.mark.parametrize("control", [0.0, 0.6, NAN, -0.1])
def test_control_has_at_most_what_the_candidate_leaves(control):
    log = observations(np.random.default_rng(1), runs=20, propensity=0.5)
    column = np.full(20, 0.4)
    column[6] = control
    with pytest.raises(EvidenceError, match=r"PropensityOutOfRange: control.* seq 7 is not") as e:
        anytime.advance(anytime.start(PLAN), replace(log, control_propensity=column))
    assert "leaves" in e.value.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"guardrails": (evidence_types.GuardrailTest(term="x"),)},
        {"candidates": 2},
        {"interval": True},
    ],
)
def test_counters_refuse_what_they_cannot_tell(changes):
    with pytest.raises(EvidenceError, match="InvalidPlan: counters hold the loss of one candidate"):
        counters.start(replace(PLAN, **changes), first_revision=1)


def test_a_prefix_read_again_from_its_start_is_refused():
    log = observations(np.random.default_rng(1), runs=20, propensity=0.5)
    state = anytime.advance(anytime.start(PLAN), log)
    with pytest.raises(EvidenceError, match="SequenceBackwards: seq 1 where 21 was due"):
        anytime.advance(state, log)


def test_a_missing_value_of_a_row_is_named():
    given = {"seq": [1], "is_candidate": [True], "void": [False]}
    for loss, propensity, reason in (
        (None, 0.5, "LossNotFinite"),
        (0.5, None, "PropensityMissing"),
    ):
        log = evidence_types.Observations.of(loss=[loss], propensity=[propensity], **given)
        with pytest.raises(EvidenceError, match=reason):
            anytime.advance(anytime.start(PLAN), log)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("loss", np.zeros(24)),
        ("loss", np.zeros(25, dtype=np.float32)),
        ("is_candidate", np.zeros(25, dtype=int)),
        ("void", np.zeros(3, dtype=bool)),
    ],
)
def test_columns_that_do_not_fit_are_named(column, value):
    log = observations(np.random.default_rng(1), runs=25, propensity=0.5)
    with pytest.raises(EvidenceError, match=f"ColumnsMismatch: column {column} is"):
        anytime.advance(anytime.start(PLAN), replace(log, **{column: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promote_level": 0.0}, "promote_level is 0.0"),
        ({"promote_level": NAN}, "promote_level is nan"),
        ({"rollback_level": 1.0}, "rollback_level is 1.0"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"margin": 1.0}, "margin is 1.0"),
        ({"tolerance": NAN}, "tolerance is nan"),
        ({"attempt": 0}, "attempt is 0"),
        ({"ramp": (evidence_types.RampTest(share_percent=5.0, margin=1.5),)}, "margin is 1.5"),
        ({"ramp": (evidence_types.RampTest(share_percent=5.0, margin=0.1),) * 2}, "share twice"),
        ({"guardrails": (evidence_types.GuardrailTest(term="x"),) * 2}, "a term twice"),
        ({"guardrails": (evidence_types.GuardrailTest(term="loss"),)}, "guardrails names loss"),
        (
            {"guardrails": (evidence_types.GuardrailTest(term="x", margin=NAN),)},
            "guardrails[x].margin is nan",
        ),
        (
            {"futility": evidence_types.FutilityTest(min_improvement=0.02), "margin": 0.1},
            "futility goes with margin 0 only",
        ),
        (
            {"futility": evidence_types.FutilityTest(min_improvement=0.02, level=0.0)},
            "futility.level is 0.0",
        ),
        ({"candidates": 0}, "candidates is 0; use 1 to 8"),
    ],
)
def test_a_plan_that_promises_nothing_is_refused(changes, message):
    with pytest.raises(EvidenceError, match="InvalidPlan: ") as error:
        evidence_types.TestPlan(**changes)
    assert message in error.value.detail.replace("ramp[5.0].", "")


@pytest.mark.parametrize("share", [0.0, 100.0, -5.0, NAN])
def test_no_margin_for_a_share_that_is_no_ramp_step(share):
    with pytest.raises(EvidenceError, match="InvalidPlan: a ramp step of"):
        levels.ramp_margin(share)


def saved():
    log = observations(np.random.default_rng(1), runs=40, propensity=0.5)
    return json.loads(json.dumps(anytime.advance(anytime.start(PLAN), log).to_dict()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engineVersion": 0}, "StateVersion: the state is of Anytime engine version 0"),
        ({"engineVersion": None}, "StateVersion: "),
        ({"method": "Counters"}, "StateVersion: "),
        ({"plan": {}}, "PlanChanged: "),
        ({"watermark": -1}, "StateInvalid: watermark"),
        ({"watermark": True}, "StateInvalid: watermark"),
        ({"blocks": "4"}, "StateInvalid: blocks"),
        ({"armSums": [1, 2, 3]}, "StateInvalid: armSums"),
        ({"logs": codec.pack(np.full((7, 5), NAN))}, "StateInvalid: logs"),
        ({"logs": codec.pack(np.zeros(3))}, "StateInvalid: logs"),
        ({"logs": "no base64!"}, "StateInvalid: logs of the state is not packed text"),
        ({"logs": "AAA="}, "StateInvalid: logs of the state is not packed text"),
        ({"culprit": 1}, "StateInvalid: culprit"),
        ({"crossed": [0, 0, 0, 0, -10]}, "StateInvalid: crossed"),
        ({"crossed": [0, 0, 0, 0, 0.5]}, "StateInvalid: crossed"),
        ({"payoffSums": None}, "StateInvalid: payoffSums"),
    ],
)
def test_a_state_that_is_not_what_was_written_is_refused(changes, message):
    with pytest.raises(EvidenceError) as error:
        anytime.EngineState.from_dict({**saved(), **changes}, plan=PLAN)
    assert str(error.value).startswith(message)


def test_the_state_of_another_plan_is_refused():
    with pytest.raises(EvidenceError, match="PlanChanged"):
        anytime.EngineState.from_dict(saved(), plan=replace(PLAN, attempt=2))


COUNTER_TABLE = [
    ([sample(NAN, 0.0, 0.0)], "CounterNotFinite"),
    ([sample(10, INF, 1.0)], "CounterNotFinite"),
    ([sample(10, 3.0, -INF)], "CounterNotFinite"),
    ([sample(-1, 0.0, 0.0)], "CounterNegative"),
    ([sample(10, -0.5, 0.0)], "CounterNegative"),
    ([sample(10, 11.0, 1.0)], "CountersInconsistent"),  # a sum above the count
    ([sample(10, 3.0, 3.5)], "CountersInconsistent"),  # squares above the sum
    ([sample(10, 5.0, 1.0)], "CountersInconsistent"),  # squares below (sum)^2 / count
    ([sample(0, 0.5, 0.25)], "CountersInconsistent"),  # a sum without a count
    ([sample(2.5, 1.0, 0.5)], "CountersInconsistent"),  # half a run
    ([sample(1, 0.5, 0.25), sample(1, 0.5, 0.25)], "SeriesDuplicate"),
    ([sample(1, 0.5, 0.25, revision=9)], "RevisionUnknown"),
    ([sample(1, 0.5, 0.25, instance="x" * 129)], "InstanceInvalid"),
    ([sample(1, 0.5, 0.25, instance="a\nb")], "InstanceInvalid"),
    ([sample(1, 0.5, 0.25, instance=f"{i}") for i in range(257)], "SeriesTooMany"),
]


@pytest.mark.parametrize(("scrape", "reason"), COUNTER_TABLE)
def test_a_bad_scrape_is_named_and_nothing_is_counted(scrape, reason):
    state = counters.observe(
        counters.start(PLAN, first_revision=1),
        [sample(1, 0.5, 0.25, revision=2)],
        propensities=HALF,
    )
    untouched = state.to_dict()
    with pytest.raises(EvidenceError) as error:
        counters.observe(state, scrape, propensities=HALF)
    assert error.value.reason.value == reason
    assert state.to_dict() == untouched


def test_a_gain_that_no_runs_can_have_is_refused_until_it_is_whole():
    """The sum moved, the count not yet: scraped between two increments of one run."""
    state = counters.observe(
        counters.start(PLAN, first_revision=1), [sample(10, 3.0, 1.0)], propensities=HALF
    )
    with pytest.raises(EvidenceError, match="CountersInconsistent: series instance='a' arm=cand"):
        counters.observe(state, [sample(10, 3.5, 1.25)], propensities=HALF)
    whole = counters.observe(state, [sample(11, 3.5, 1.25)], propensities=HALF)
    assert whole.evidence().candidate_runs == 11


@pytest.mark.parametrize(
    ("propensity", "reason"),
    [(0.0, "PropensityOutOfRange"), (1.0, "PropensityOutOfRange"), (NAN, "PropensityMissing")],
)
def test_a_revision_without_randomness_is_no_evidence(propensity, reason):
    with pytest.raises(EvidenceError, match=reason):
        counters.observe(
            counters.start(PLAN, first_revision=1),
            [sample(1, 0.5, 0.25)],
            propensities={1: propensity},
        )


def test_sums_handed_in_directly_are_checked_too():
    bad = counters.CounterIncrement(
        revision=1,
        propensity=0.5,
        candidate=counters.ArmSums(n=1, s=2.0, q=1.0),
        control=counters.ArmSums(n=0, s=0.0, q=0.0),
    )
    with pytest.raises(EvidenceError, match="CountersInconsistent: candidate of revision 1"):
        counters.absorb(counters.start(PLAN, first_revision=1), bad)


@pytest.mark.parametrize(
    "samples",
    [
        None,
        [["1", "candidate"]],
        [[1, "third", "a", 1, 0.5, 0.25, None]],
        [[1, Arm.CANDIDATE.value, "a", -1, 0.5, 0.25, None]],
    ],
)
def test_a_saved_watermark_that_is_not_one_is_refused(samples):
    data = counters.start(PLAN, first_revision=1).to_dict()
    with pytest.raises(EvidenceError, match="StateInvalid: samples"):
        counters.CounterState.from_dict({**data, "samples": samples}, plan=PLAN)
