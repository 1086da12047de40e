"""Redaction: of a typical bundle, and of texts that are made to cost."""

import time
from collections import Counter
from collections.abc import Callable

from bench.figure import Figure
from bench.ingest import beside_large
from bench.rig import Rig
from learnops.domain.redaction.redactor import Redactor

_CHARACTERS = 50_000
_TYPICAL = {
    "verdict": "accepted",
    "reviewer": "judge-small",
    "artifacts": [{"kind": "patch", "uri": f"s3://runs/{n}/patch.diff"} for n in range(20)],
}
_TEXTS = {
    "prose": "the quick brown fox jumps over it. ",
    "decimals": "0.123456, 0.456789, ",
    "numbers that are no cards": "4111 1111 1111 1112 ",
    "numbers never given out": "000-90-4399 ",
    "numbers that are no phones": "x1 415-555-26711\n",
    "cards": "4111111111111111,",
    "social security numbers": "536-90-4399, ",
    "addresses": "a@b.cd ",
    "addresses in other letters": "é@b.cd ",
}


def run(rig: Rig) -> list[Figure]:
    """Processor time of the redactor, and of what a flood of large bundles leaves to others."""
    redactor = Redactor()
    typical = _seconds(lambda: redactor.may_find(_TYPICAL), repeated=200) / 200
    return [
        Figure(name="a bundle of 1 KB, nothing to find", value=typical * 1e6, unit="us"),
        *(_of_text(name, unit) for name, unit in _TEXTS.items()),
        *beside_large(rig),
    ]


def _of_text(name: str, unit: str) -> Figure:
    text = unit * (_CHARACTERS // len(unit))
    redactor = Redactor()
    seconds = _seconds(lambda: redactor.text(text, found=Counter()), repeated=1)
    value = seconds / len(text) * 1e5 * 1e3
    return Figure(name=f"{name}, of 100,000 characters", value=value, unit="ms")


def _seconds(done: Callable[[], object], *, repeated: int) -> float:
    """Processor time, the least of five."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(repeated):
            done()
        taken.append(time.process_time() - began)
    return min(taken)
