"""The reward by hand."""

import pytest

from learnops.domain.reward import DEFAULT_WEIGHTS, reward


def test_four_signals_are_weighed_and_told_one_by_one() -> None:
    signals = {"compile": 1.0, "tests": 0.5, "errors": 0.25, "human": 0.0}
    known = reward(signals, weights=DEFAULT_WEIGHTS)
    assert known is not None
    assert known.value == pytest.approx(0.3 * 1 + 0.4 * 0.5 + 0.2 * 0.75 + 0)
    told = [(line.term, line.value, line.score, line.weight) for line in known.lines]
    assert told == [
        ("compile", 1.0, 1.0, 0.3),
        ("tests", 0.5, 0.5, 0.4),
        ("errors", 0.25, 0.75, 0.2),
        ("human", 0.0, 0.0, 0.1),
    ]
    assert (known.partial, known.missing) == (False, ())


def test_an_absent_signal_leaves_its_weight_out() -> None:
    known = reward({"tests": 0.5, "compile": 1.0}, weights=DEFAULT_WEIGHTS)
    assert known is not None
    assert known.value == pytest.approx((0.3 + 0.4 * 0.5) / 0.7)
    assert (known.partial, known.missing) == (True, ("errors", "human"))


@pytest.mark.parametrize("signals", [{}, {"thumbs": 1.0}, {"human": 1.0}])
def test_without_a_signal_of_weight_there_is_none(signals: dict[str, float]) -> None:
    assert reward(signals, weights={"tests": 1.0}) is None


def test_the_defaults_are_those_of_the_field_reference() -> None:
    assert DEFAULT_WEIGHTS == {"compile": 0.3, "tests": 0.4, "errors": 0.2, "human": 0.1}
