"""Futility beside roll-back: which of two crossings that one look finds decides."""

from dataclasses import replace

import pytest

from learnops.domain.observed import EValue
from tests.simulation.acts.people import begin
from tests.simulation.acts.runs import learn
from tests.simulation.evidence import reading
from tests.simulation.play import in_order
from tests.simulation.stories.openings import FUTILITY_BY_HAND


def crossed(log_e: float, *, threshold: float, at: int | None) -> EValue:
    return EValue(log_e=log_e, threshold=threshold, crossed_at=at)


@pytest.mark.parametrize(
    ("futile_at", "worse_at", "reason"),
    [(100, 200, "Futile"), (200, 100, "Worse"), (100, 100, "Worse"), (100, None, "Futile")],
)
def test_the_earlier_block_decides_and_a_tie_rolls_back(
    futile_at: int, worse_at: int | None, reason: str
) -> None:
    found = replace(
        reading(),
        futility=crossed(2.5, threshold=10.0, at=futile_at),
        rollback=crossed(3.5 if worse_at else 0.0, threshold=20.0, at=worse_at),
    )
    world = in_order([*begin(), FUTILITY_BY_HAND, learn("v2", found, "both")])
    told = next(line for line in world.lines if "CanaryDeployment try-v2: Canary →" in line)
    assert f"Ready=True ({reason})" in told
