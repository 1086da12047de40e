"""`learnops crl compute`: bundles scored offline as ingest scores them."""

import io
import json
from pathlib import Path

import pytest

from learnops.cli.main import main

DOER = """
kind: Doer
metadata: {name: planner}
spec:
  phase: plan
  crl:
    weights: {grounding: "1", contradictions: "1"}
    extraTerms: [{name: toxicity, metric: toxicScore, cap: "2"}]
    overrides:
    - {tenant: acme, weights: {grounding: "3"}}
    - {tenant: acme, phase: review, weights: {grounding: "0", contradictions: "9"}}
"""
GOOD = {"runId": "r1", "metrics": {"grounding": 0.5, "contradictions": 0, "toxicScore": 1}}


@pytest.fixture
def compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def of(*lines: object, doer: str = DOER, output: str = "json") -> tuple[int, list[str], str]:
        file = tmp_path / "doer.yaml"
        file.write_text(doer, encoding="utf-8")
        text = "\n".join(it if isinstance(it, str) else json.dumps(it) for it in lines)
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        code = main(["crl", "compute", "--doer", str(file), "-o", output])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.replace(str(tmp_path), "")

    return of


def test_a_bundle_is_scored_with_its_breakdown(compute) -> None:
    code, (line,), said = compute(GOOD)
    told = json.loads(line)
    assert (code, told["runId"], told["partial"], told["missing"]) == (0, "r1", False, [])
    assert told["terms"] == {"grounding": 0.5, "contradictions": 0.0, "toxicity": 0.5}
    assert told["weights"] == {"grounding": 1.0, "contradictions": 1.0, "toxicity": 1.0}
    assert (
        told["loss"] == pytest.approx(1 / 3) == pytest.approx(sum(told["contributions"].values()))
    )
    assert said == "1 scored, mean loss 0.333\n"


def test_a_tenants_weights_hold_for_its_runs_and_other_phases_for_none(compute) -> None:
    _, (line,), _ = compute({**GOOD, "tenant": "acme"})
    assert json.loads(line)["weights"] == {"grounding": 3.0, "contradictions": 1.0, "toxicity": 1.0}


def test_silence_is_told_and_counts_as_the_worst(compute) -> None:
    code, (line,), said = compute({"metrics": {"grounding": 1}})
    told = json.loads(line)
    assert (code, told["runId"], told["loss"]) == (0, "1", pytest.approx(2 / 3))
    assert (told["partial"], told["missing"]) == (True, ["contradictions", "toxicity"])
    assert "1 partial (not reported: contradictions 1, toxicity 1)" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ({"metrics": {"grounding": 1.5}}, "line 2: metrics.grounding: is 1.5; send a rate from"),
        ({"metrics": {"toxicScore": -1}}, "line 2: metrics.toxicScore: is -1; send 0 or more"),
        ({"metrics": {}, "tenent": "x"}, "line 2: tenent: Extra inputs are not permitted"),
        ({**GOOD, "doer": "coder"}, "line 2: doer: is 'coder', these are the weights of planner"),
        ('{"metrics": {"grounding": NaN}}', "line 2: metrics: must have finite numbers alone"),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_are_scored(compute, line, message) -> None:
    code, scored, said = compute(GOOD, line, {**GOOD, "runId": "r3"})
    assert code == 2
    assert [json.loads(it)["runId"] for it in scored] == ["r1", "r3"]
    assert message in said
    assert "2 scored, mean loss 0.333, 1 refused" in said


@pytest.mark.parametrize(
    ("doer", "message"),
    [
        ("kind: Policy\nspec: {}", "doer.yaml: kind: 'Policy' is not Doer"),
        ("kind: Doer\nspec: {}", "doer.yaml: spec.crl.weights: must be there"),
        ("a: [", "doer.yaml: is not YAML"),
        ("kind: Doer\n---\nkind: Doer", "doer.yaml: must be one Doer"),
        (DOER.replace('"9"', "9"), "doer.yaml: spec.crl.overrides.1.weights.contradictions: "),
    ],
)
def test_a_bad_doer_is_named(compute, doer, message) -> None:
    code, scored, said = compute(GOOD, doer=doer)
    assert (code, scored) == (2, [])
    assert message in said


def test_nothing_to_score_is_no_success(compute) -> None:
    assert compute("\n") == (2, [], "no bundle was scored, 0 refused\n")


def test_the_table_names_what_cost_most(compute) -> None:
    _, (header, row), _ = compute(GOOD, output="table")
    assert header.split() == ["RUN", "LOSS", "PARTIAL", "MOST", "OF", "IT"]
    assert row.split() == ["r1", "0.333", "no", "grounding", "0.167,", "toxicity", "0.167"]
