"""The assignment hash is normative: every implementation gives these positions exactly."""

import json
from pathlib import Path

import pytest

from learnops.domain.assignment import Region, choose, position

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


SEVERAL = json.loads((Path(__file__).parent / "regions.json").read_text())


@pytest.mark.parametrize("vector", SEVERAL["vectors"], ids=lambda it: it["unit"])
def test_the_arm_of_several_is_exact(vector):
    stages = [
        [Region(policy=policy, percent=percent, start=start) for policy, percent, start in regions]
        for regions in SEVERAL["regions"]
    ]
    assert [choose(vector["salt"], vector["unit"], it) for it in stages] == vector["arms"]


def test_the_vectors_hold_every_arm_at_every_stage():
    found = [set(arms) for arms in zip(*(it["arms"] for it in SEVERAL["vectors"]), strict=True)]
    assert found == [{None, "v2", "v3"}] * 3 + [{None, "v3"}]


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_position_of_each_vector_is_met_exactly(vector):
    assert position(vector["salt"], vector["unit"]) == vector["position"]
