"""``FixedHorizon``: one Welch test at a number of runs that was planned beforehand.

For those who must report a p-value. It is right at that one look and at no other, so it refuses an
earlier one, and it needs a constant share: where the share moves, pooled means confuse the arms
with the time of day. ``Anytime`` decides sooner on most canaries.
"""

from dataclasses import dataclass, replace
from math import inf, log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import codec
from learnops.domain.evidence.checks import check
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.hypotheses import Floats
from learnops.domain.evidence.levels import promotion_level
from learnops.domain.evidence.standing import Evidence, PValues, Standing
from learnops.domain.evidence.types import Observations, TestPlan

LIBRARY = "scipy.stats"
"""Imported at the first look; who must not stand still that long imports it before."""

_MAX_LOG = 700.0  # 1/p beyond this has no meaning left


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HorizonState:
    """Sums over the first ``plan.horizon`` runs; what comes later is not looked at.

    Attributes:
        watermark: seq of the last run that was read.
        looked_at: seq of the run at which the number of runs was complete, 0 before.
        propensity: the candidate's probability; None before the first run.
        arm_sums: (2, 3), candidate and control: runs, sum of losses, sum of squares.
    """

    plan: TestPlan
    watermark: int
    looked_at: int
    propensity: float | None
    arm_sums: Floats

    def evidence(self) -> Evidence:
        """Until the planned number of runs both e-values are 1: nothing may be concluded."""
        (runs_c, sum_c, _), (runs_0, sum_0, _) = self.arm_sums.tolist()
        p_values = self._p_values() if self.looked_at else None
        return Evidence(
            promote=self._standing(
                None if p_values is None else p_values.promote,
                level=promotion_level(self.plan.promote_level, self.plan.attempt),
                margin=self.plan.margin,
            ),
            rollback=self._standing(
                None if p_values is None else p_values.rollback,
                level=self.plan.rollback_level,
                margin=self.plan.tolerance,
            ),
            ramp={},
            runs=int(runs_c + runs_0),
            candidate_runs=int(runs_c),
            control_runs=int(runs_0),
            all_runs=int(runs_c + runs_0),
            candidate_loss=sum_c / runs_c if runs_c else None,
            control_loss=sum_0 / runs_0 if runs_0 else None,
            blocks=1 if self.looked_at else 0,
            watermark=self.watermark,
            p_values=p_values,
        )

    def _standing(self, p_value: float | None, *, level: float, margin: float) -> Standing:
        """In the form of the other methods: 1/p beside 1/level."""
        log_e = 0.0 if p_value is None else min(-log(p_value) if p_value else inf, _MAX_LOG)
        reached = p_value is not None and p_value <= level
        return Standing(
            log_e=log_e,
            log_threshold=-log(level),
            crossed_at=self.looked_at if reached else None,
            margin=margin,
        )

    def _p_values(self) -> PValues:
        return PValues(
            promote=_welch(self.arm_sums, margin=self.plan.margin, worse=False),
            rollback=_welch(self.arm_sums, margin=self.plan.tolerance, worse=True),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **codec.head(method="FixedHorizon", plan=self.plan),
            "watermark": self.watermark,
            "lookedAt": self.looked_at,
            "propensity": self.propensity,
            "armSums": self.arm_sums.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, plan: TestPlan) -> Self:
        """Read a saved state. Raises EvidenceError: StateVersion, PlanChanged or StateInvalid."""
        codec.check_head(data, method="FixedHorizon", plan=plan)
        propensity = data.get("propensity")
        if propensity is not None and not isinstance(propensity, float):
            raise codec.invalid("propensity", "is not a number")
        return cls(
            plan=plan,
            watermark=codec.whole(data, "watermark"),
            looked_at=codec.whole(data, "lookedAt"),
            propensity=propensity,
            arm_sums=codec.floats(data, "armSums", shape=(2, 3)),
        )


def start(plan: TestPlan, *, watermark: int = 0) -> HorizonState:
    """The state before the first run.

    Raises:
        EvidenceError: InvalidPlan: no horizon, or a part of the plan that one test cannot judge.
    """
    if plan.horizon is None or plan.guardrails or plan.futility or plan.ramp or plan.interval:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail="one look needs a planned number of runs and judges the loss alone: "
            "no guardrails, futility, evidence gate or interval",
        )
    if plan.candidates > 1:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN, detail="one look compares one candidate"
        )
    return HorizonState(
        plan=plan, watermark=watermark, looked_at=0, propensity=None, arm_sums=np.zeros((2, 3))
    )


def advance(state: HorizonState, observations: Observations) -> HorizonState:
    """Take in the resolved prefix after the watermark, up to the planned number of runs.

    Raises:
        EvidenceError: a run that cannot be evidence, or PropensityChanged.
    """
    check(observations, after=state.watermark)
    assert state.plan.horizon is not None
    if not len(observations):
        return state
    watermark = int(observations.seq[-1])
    if state.looked_at:
        return replace(state, watermark=watermark)
    live = np.ones(len(observations), dtype=np.bool_)
    if observations.void is not None:
        live = ~observations.void
    missing = state.plan.horizon - int(state.arm_sums[:, 0].sum())
    places = np.flatnonzero(live)[:missing]
    propensity = _constant(state, observations, places)
    complete = len(places) == missing
    return replace(
        state,
        watermark=watermark,
        looked_at=int(observations.seq[places[-1]]) if complete else 0,
        propensity=propensity,
        arm_sums=_with(state.arm_sums, observations, places),
    )


def _constant(
    state: HorizonState, observations: Observations, places: NDArray[np.intp]
) -> float | None:
    if not len(places):
        return state.propensity
    drawn = observations.propensity[places]
    known = float(drawn[0]) if state.propensity is None else state.propensity
    changed = drawn != known
    if changed.any():
        at = places[int(changed.argmax())]
        raise EvidenceError(
            reason=EvidenceReason.PROPENSITY_CHANGED,
            detail=f"run seq {int(observations.seq[at])} was drawn with propensity "
            f"{float(observations.propensity[at])} and the runs before it with {known}; "
            "one look needs a constant share: use Anytime for a ramp",
        )
    return known


def _with(before: Floats, observations: Observations, places: NDArray[np.intp]) -> Floats:
    """The sums with these runs, each added after the one before: the same for any pieces."""
    loss, candidate = observations.loss[places], observations.is_candidate[places]
    after = before.copy()
    for sums, arm in zip(after, (loss[candidate], loss[~candidate]), strict=True):
        sums[0] += len(arm)
        for place, column in ((1, arm), (2, arm * arm)):
            sums[place] = np.add.accumulate(np.append(sums[place], column))[-1]
    return after


def _welch(arm_sums: Floats, *, margin: float, worse: bool) -> float:
    """One-sided p-value of "difference <= margin" (worse) or "difference >= margin".

    Two runs an arm are the least that have a spread. Where neither arm has any, the difference of
    the means is all there is: p is 0 or 1.
    """
    # Imported here: it takes a second and forty megabytes that only this method should cost.
    from scipy.stats import ttest_ind_from_stats

    n = arm_sums[:, 0]
    if (n < 2).any():
        return 1.0
    mean = arm_sums[:, 1] / n
    spread = np.sqrt(np.maximum(arm_sums[:, 2] / n - mean**2, 0.0) * n / (n - 1))
    if not spread.any():
        difference = float(mean[0] - mean[1])
        return 0.0 if (difference > margin if worse else difference < margin) else 1.0
    found = ttest_ind_from_stats(
        mean[0] - margin,
        spread[0],
        n[0],
        mean[1],
        spread[1],
        n[1],
        equal_var=False,
        alternative="greater" if worse else "less",
    )
    return float(found.pvalue)
