"""A tool writes null of what it does not have: that costs nothing of what it has."""

import json
from pathlib import Path

from learnops.cli.child import Ended
from learnops.cli.told import outcome

SECTIONS = ("metrics", "gates", "costs", "qav", "artifacts", "budget", "signals")


def test_a_section_that_is_null_is_absent(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    told = {**dict.fromkeys(SECTIONS), "metrics": {"grounding": 0.5}}
    file.write_text(json.dumps(told))
    said, problem = outcome(file, Ended(code=0, milliseconds=5.0))
    assert problem is None
    assert (said.metrics, said.qav) == ({"grounding": 0.5}, {})
    assert (said.costs, said.artifacts, said.budget, said.signals) == (None, None, None, None)
    assert said.gates == [{"name": "completed", "passed": True}]
