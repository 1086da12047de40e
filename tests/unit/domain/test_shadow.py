"""The shadow test on pairs: its formula, its promise, and what it refuses."""

import json
import math

import numpy as np
import pytest

from learnops.domain.evidence import shadow
from learnops.domain.evidence.betting import FRACTION_WEIGHTS, FRACTIONS
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.shadow import ShadowPlan, ShadowState

PLAN = ShadowPlan(level=0.05, tolerance=0.02, min_pairs=50)


def pairs(
    candidate: list[float], control: list[float], *, plan: ShadowPlan = PLAN, pieces: int = 1
) -> ShadowState:
    state = shadow.start(plan)
    for part in np.array_split(np.arange(len(candidate)), pieces):
        state = shadow.advance(
            state,
            seq=part.astype(np.int64) + 1,
            candidate=np.array(candidate, dtype=np.float64)[part],
            control=np.array(control, dtype=np.float64)[part],
        )
    return state


def told(seed: int, *, worse: float, runs: int = 400) -> tuple[list[float], list[float]]:
    chance = np.random.default_rng(seed)
    control = np.clip(chance.normal(0.4, 0.15, runs), 0, 1)
    candidate = np.clip(control + worse + chance.normal(0.0, 0.1, runs), 0, 1)
    return candidate.tolist(), control.tolist()


def by_hand(candidate: list[float], control: list[float], *, tolerance: float) -> float:
    """The formula of the module's docstring, one pair after the other."""
    products, adaptive, total, squares = [1.0] * len(FRACTIONS), 1.0, 0.0, 0.0
    for mine, theirs in zip(candidate, control, strict=True):
        g, b = mine - theirs - tolerance, 1.0 + tolerance
        bet = min(max(2.0 + total, 0.0) / (4.0 + squares), 0.8 / b)
        products = [it * (1.0 + c * g / b) for it, c in zip(products, FRACTIONS, strict=True)]
        adaptive *= 1.0 + bet * g
        total, squares = total + g, squares + g * g
    fixed = sum(w * it for w, it in zip(FRACTION_WEIGHTS, products, strict=True))
    return float(0.5 * fixed + 0.5 * adaptive)


@pytest.mark.parametrize("worse", [-0.1, 0.0, 0.1])
def test_the_e_value_is_that_of_the_formula(worse: float) -> None:
    candidate, control = told(3, worse=worse, runs=120)
    found = pairs(candidate, control).evidence().harm.log_e
    assert found == pytest.approx(math.log(by_hand(candidate, control, tolerance=0.02)), abs=1e-9)


def test_each_factor_has_mean_one_at_the_tolerance() -> None:
    plan = ShadowPlan(tolerance=0.1)
    # d is +1 with probability 0.55 and -1 with 0.45: its mean is the tolerance.
    worse, better = pairs([1.0], [0.0], plan=plan), pairs([0.0], [1.0], plan=plan)
    mean = 0.55 * np.exp(worse.logs[:, 0]) + 0.45 * np.exp(better.logs[:, 0])
    assert mean == pytest.approx(np.ones(7), abs=1e-12)


def test_harm_is_shown_soon_and_stays_shown() -> None:
    candidate, control = told(5, worse=0.2)
    soon = pairs(candidate[:60], control[:60]).evidence()
    assert soon.harm.crossed_at is not None
    assert soon.harm.crossed_at <= 60
    later = pairs(candidate[:60] + [0.0] * 300, control[:60] + [1.0] * 300).evidence()
    assert later.harm.crossed_at == soon.harm.crossed_at
    assert later.harm.log_e < later.harm.log_threshold


def test_equal_policies_are_seldom_called_worse_and_their_interval_holds_zero() -> None:
    found = [pairs(*told(seed, worse=0.0)).evidence() for seed in range(200)]
    assert sum(it.harm.crossed for it in found) <= 10  # tolerance 0.02: far fewer than 5 %
    differences = [it.difference for it in found]
    assert all(it is not None and it.low <= 0.0 <= it.high for it in differences)
    assert max(it.high for it in differences if it is not None) < 1.0


def test_pieces_and_saved_states_change_no_bit() -> None:
    candidate, control = told(8, worse=0.05)
    whole = pairs(candidate, control)
    assert pairs(candidate, control, pieces=37).to_dict() == whole.to_dict()
    saved = json.loads(json.dumps(pairs(candidate[:100], control[:100]).to_dict()))
    resumed = shadow.advance(
        ShadowState.from_dict(saved, plan=PLAN),
        seq=np.arange(101, 401),
        candidate=np.array(candidate[100:]),
        control=np.array(control[100:]),
    )
    assert resumed.to_dict() == whole.to_dict()


def test_before_the_first_pair_nothing_is_known() -> None:
    found = pairs([], []).evidence()
    assert (found.pairs, found.harm.log_e, found.difference) == (0, 0.0, None)
    assert (found.candidate_loss, found.control_loss) == (None, None)


@pytest.mark.parametrize(
    ("candidate", "control", "reason"),
    [
        (math.nan, 0.2, EvidenceReason.LOSS_NOT_FINITE),
        (0.2, 1.01, EvidenceReason.LOSS_OUT_OF_RANGE),
        (-0.1, 0.2, EvidenceReason.LOSS_OUT_OF_RANGE),
    ],
)
def test_a_loss_that_is_none_is_refused(
    candidate: float, control: float, reason: EvidenceReason
) -> None:
    with pytest.raises(EvidenceError, match="pair seq 2") as caught:
        pairs([0.1, candidate], [0.1, control])
    assert caught.value.reason is reason


def test_a_gap_is_refused() -> None:
    with pytest.raises(EvidenceError) as caught:
        shadow.advance(
            shadow.start(PLAN), seq=np.array([2]), candidate=np.zeros(1), control=np.zeros(1)
        )
    assert caught.value.reason is EvidenceReason.SEQUENCE_GAP


@pytest.mark.parametrize(
    "change", [{"level": 1.0}, {"tolerance": -0.1}, {"tolerance": 1.0}, {"min_pairs": 0}]
)
def test_a_plan_that_is_none_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(EvidenceError, match="InvalidPlan"):
        ShadowPlan(**change)  # type: ignore[arg-type]


def test_a_state_of_another_plan_is_refused() -> None:
    saved = pairs([0.1], [0.2]).to_dict()
    with pytest.raises(EvidenceError, match="PlanChanged"):
        ShadowState.from_dict(saved, plan=ShadowPlan(min_pairs=51))
