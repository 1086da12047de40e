"""The assignment hash is normative: every implementation gives these positions exactly."""

import json
from pathlib import Path

import pytest

from learnops.domain.assignment import position

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_position_is_exact(vector):
    assert position(vector["salt"], vector["unit"]) == vector["position"]
