"""`learnops run -- CMD`: a wrong bundle is named, and the run is reported without it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.client.commands import run
from tests.contract.client.stand_in import StandInApi

__all__ = ["run"]  # fixtures

WRONG: dict[str, tuple[str, str]] = {
    "no JSON": ("{metrics", "is no JSON"),
    "a list": ("[]", "must be an object"),
    "unknown": ('{"metric": {}}', "'metric': must be one of metrics, gates, costs"),
    "metrics": ('{"metrics": []}', "metrics: must be an object"),
    "gates": ('{"gates": {}}', "gates: must be a list"),
    "a gate": ('{"gates": [{"name": "a"}]}', "gates[0]: must be an object of name and passed"),
    "passed": (
        '{"gates": [{"name": "a", "passed": "yes"}]}',
        "gates[0].passed: must be true or false",
    ),
    "gate name": (
        '{"gates": [{"name": "", "passed": true}]}',
        "gates[0].name: must be a name of 1 to 128 characters",
    ),
    "a rate": ('{"metrics": {"grounding": 7}}', "metrics.grounding: is 7; send a rate from 0 to 1"),
    "a cost": ('{"costs": {"costUSD": "1"}}', "costs.costUSD: is '1'; send a number"),
    "NaN": ('{"metrics": {"x": NaN}}', "NaN is no number"),
    "endless": ('{"metrics": {"x": 1e999}}', "metrics.x: must have finite numbers alone"),
    "budget": ('{"budget": {"cost": 1}}', "budget.cost: must be one of maxCostUSD"),
    "no budget": ('{"budget": {"maxCostUSD": 0}}', "budget.maxCostUSD: is 0"),
    "huge budget": ('{"budget": {"maxCostUSD": 1e16}}', "budget.maxCostUSD: must be at most 1e+15"),
    "artifact": ('{"artifacts": ["x"]}', "artifacts[0]: must be an object"),
    "deep": ('{"qav": {"x": ' + "[" * 9 + "]" * 9 + "}}", "must be nested at most 8 levels deep"),
    "deeper": ("[" * 100_000, "is no JSON"),
    "NUL": ('{"qav": {"x": "\\u0000"}}', "qav.x: must have no NUL character"),
    "surrogate": ('{"qav": {"x": "\\ud800"}}', "qav.x: must be valid Unicode text"),
    "long text": ('{"qav": {"x": "' + "x" * 65_537 + '"}}', "at most 65,536 characters"),
    "many": (json.dumps({"costs": {f"c{n}": n for n in range(200)}}), "at most 128 entries"),
    "large": (" " * 2**20, "must have at most 1,044,480 bytes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_bundle_is_named_and_the_run_reported(
    api: StandInApi, run: Any, tmp_path: Path, case: str
) -> None:
    text, message = WRONG[case]
    (tmp_path / "bundle.json").write_text(text)
    copy = ["sh", "-c", f'cp {tmp_path}/bundle.json "$LEARNOPS_BUNDLE_FILE"']
    done = run(*copy, options=("--run-id", "r"))
    assert done.returncode == 0
    assert message in done.stderr
    assert done.stderr.startswith("learnops run: LEARNOPS_BUNDLE_FILE: ")
    assert done.stderr.endswith("; the run is reported without it\n")
    assert done.stderr.count("\n") == 1
    assert (api.runs["r"]["metrics"], api.runs["r"]["costs"]) == ({}, {})
    assert message[:20] in api.runs["r"]["qav"]["bundleProblem"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("mkfifo", "must be a plain file"),
        ("mkdir", "must be a plain file"),
        ("ln -s /etc/hostname", "cannot be read"),
    ],
)
def test_a_bundle_that_is_no_plain_file(api: StandInApi, run: Any, make: str, message: str) -> None:
    done = run("sh", "-c", f'{make} "$LEARNOPS_BUNDLE_FILE"', options=("--run-id", "r"))
    assert done.returncode == 0
    assert message in done.stderr
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": True}]
