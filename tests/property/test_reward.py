"""Laws of the reward: bounded, monotone, free of scale; silence is neither good nor bad."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from learnops.domain.reward import DEFAULT_WEIGHTS, FAULTS, TERMS, reward

VALUES = st.floats(0.0, 1.0)
NAMES = st.sampled_from(TERMS)
SIGNALS = st.dictionaries(st.one_of(NAMES, st.just("thumbs")), VALUES)
WEIGHTS = st.dictionaries(NAMES, st.one_of(st.just(0.0), st.floats(1e-6, 1e9)))


@given(signals=SIGNALS, weights=WEIGHTS)
def test_it_lies_in_zero_to_one_and_is_its_breakdown(signals, weights):
    known = reward(signals, weights=weights)
    weighed = [term for term in signals if weights.get(term, 0.0) > 0.0]
    assert (known is None) == (not weighed)
    if known is not None:
        assert 0.0 <= known.value <= 1.0
        assert sum(line.share for line in known.lines) == pytest.approx(known.value)
        assert {line.term for line in known.lines} == set(weighed)
        assert known.partial == any(w > 0 and t not in signals for t, w in weights.items())


@given(signals=SIGNALS, weights=WEIGHTS, term=NAMES, data=st.data())
def test_a_better_signal_never_lowers_it(signals, weights, term, data):
    low, high = sorted((data.draw(VALUES), data.draw(VALUES)))
    worse, better = (high, low) if term in FAULTS else (low, high)
    bad = reward({**signals, term: worse}, weights=weights)
    good = reward({**signals, term: better}, weights=weights)
    assert (bad is None) == (good is None)
    if bad is not None and good is not None:
        assert bad.value <= good.value + 1e-12


@given(signals=SIGNALS, weights=WEIGHTS, scale=st.floats(1e-3, 1e3))
def test_scaling_all_weights_changes_nothing(signals, weights, scale):
    plain = reward(signals, weights=weights)
    scaled = reward(signals, weights={term: it * scale for term, it in weights.items()})
    assume(plain is not None)
    assert scaled is not None
    assert scaled.value == pytest.approx(plain.value, abs=1e-12)


@given(signals=SIGNALS, weights=WEIGHTS, term=NAMES)
def test_an_absent_signal_is_as_one_without_weight(signals, weights, term):
    without = {name: value for name, value in signals.items() if name != term}
    silent = reward(without, weights=weights)
    unweighed = reward(signals, weights={**weights, term: 0.0})
    values = [None if it is None else it.value for it in (silent, unweighed)]
    assert values[0] == values[1]


@given(value=VALUES)
def test_signals_that_agree_make_just_that(value):
    signals = {term: 1 - value if term in FAULTS else value for term in TERMS}
    known = reward(signals, weights=DEFAULT_WEIGHTS)
    assert known is not None
    assert known.value == pytest.approx(value)
    assert not known.partial
