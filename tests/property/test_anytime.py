"""Laws of the run-log method: the answer is a function of the log, not of how it is read."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learnops.domain.evidence import anytime
from tests.unit.domain.simulate import PLAN, TWO_TESTS, observations, rows


@st.composite
def logs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    runs = draw(st.integers(0, 400))
    shares = draw(st.lists(st.sampled_from([0.01, 0.1, 0.33, 0.5, 0.97]), min_size=1, max_size=4))
    losses = draw(
        st.sampled_from(
            [
                lambda rng, n: rng.random(n),
                lambda rng, n: (rng.random(n) < 0.05).astype(float),
                lambda rng, n: np.ones(n),
                lambda rng, n: np.zeros(n),
            ]
        )
    )
    void = rng.random(runs) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    share = np.resize(np.repeat(shares, draw(st.integers(1, 30))), runs)
    first = draw(st.sampled_from([1, 8, 10**12]))
    return observations(rng, runs=runs, propensity=share, losses=losses, void=void, first=first)


@settings(max_examples=60)
@given(log=logs(), cuts=st.lists(st.integers(0, 400), max_size=12), three=st.booleans())
def test_reading_in_pieces_saving_and_rereading_is_the_same_bit_for_bit(log, cuts, three):
    """Ticks at any moment, a restart (JSON) between all of them, every read delivered again."""
    plan = TWO_TESTS if three else PLAN
    before = int(log.seq[0]) - 1 if len(log) else 0
    whole = anytime.advance(anytime.start(plan, watermark=before), log)
    state = anytime.start(plan, watermark=before)
    for end in [*sorted(cuts), len(log)]:
        for _ in range(2):
            seen = rows(log, state.watermark - before, max(end, state.watermark - before))
            state = anytime.advance(state, seen)
            text = json.dumps(state.to_dict())
            state = anytime.EngineState.from_dict(json.loads(text), plan=plan)
    assert state.to_dict() == whole.to_dict()
    assert state.evidence() == whole.evidence()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_long_logs_do_not_depend_on_the_size_of_a_slab(seed):
    """A log longer than what is worked on at once against the same log block by block."""
    log = observations(np.random.default_rng(seed), runs=2600, propensity=0.3)
    whole = anytime.advance(anytime.start(TWO_TESTS), log)
    state = anytime.start(TWO_TESTS)
    for first in range(0, 2600, 10):
        state = anytime.advance(state, rows(log, first, first + 10))
    assert state.to_dict() == whole.to_dict()


@settings(max_examples=60)
@given(log=logs())
def test_results_are_finite_and_counted(log):
    before = int(log.seq[0]) - 1 if len(log) else 0
    evidence = anytime.advance(anytime.start(PLAN, watermark=before), log).evidence()
    for decision in (evidence.promote, evidence.rollback, *evidence.ramp.values()):
        assert np.isfinite(decision.log_e)
    judged = len(log) // 10 * 10
    assert evidence.watermark == before + judged
    live = ~log.void[:judged]
    assert evidence.runs == int(live.sum()) == evidence.candidate_runs + evidence.control_runs
