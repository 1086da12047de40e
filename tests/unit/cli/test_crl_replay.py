"""`learnops crl replay` of files: what runs and verdicts would have been under other weights."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from learnops.cli.main import main

CANARY = """
kind: CanaryDeployment
metadata: {name: c1}
spec:
  doerRef: {name: planner}
  candidateRefs: [{name: planner-v2}]
"""
DOER = """
kind: Doer
metadata: {name: planner}
spec:
  crl:
    weights: {grounding: "1", contradictions: "1"}
    budget: {costUSD: "1"}
"""


@pytest.fixture
def replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def of(*arguments: str, runs: str, output: str = "json", **files: str):
        (tmp_path / "runs").write_text(runs, encoding="utf-8")
        named = ["--runs", str(tmp_path / "runs"), "-o", output, "-q"]
        for option, text in files.items():
            file = tmp_path / f"{option}.yaml"
            file.write_text(text, encoding="utf-8")
            named += [f"--{option.replace('_', '-')}", str(file)]
        code = main(["crl", "replay", *arguments, *named])
        said = capsys.readouterr()
        told = json.loads(said.out) if output == "json" and said.out else said.out
        return code, told, said.err.replace(str(tmp_path) + "/", "")

    return of


def ndjson(*runs: object) -> str:
    return "\n".join(json.dumps(it) for it in runs)


def log(*, runs: int, better_in: str) -> str:
    """The candidate is much better in one term and as much worse in the other."""
    rng = np.random.default_rng(7)
    told = []
    for _ in range(runs):
        candidate = bool(rng.random() < 0.5)
        good, bad = float(rng.beta(2, 8)), float(rng.beta(8, 2))
        terms = {"grounding": 0.5, "contradictions": 0.5}
        if candidate:
            other = "contradictions" if better_in == "grounding" else "grounding"
            terms = {better_in: good, other: bad}
        arm = "candidate" if candidate else "control"
        loss = 0.5 * terms["grounding"] + 0.5 * terms["contradictions"]
        told.append({"arm": arm, "propensity": 0.5, "loss": loss, "terms": terms})
    return ndjson(*told)


def test_other_weights_give_another_verdict_and_say_at_which_run(replay) -> None:
    runs = log(runs=2000, better_in="grounding")
    code, told, _ = replay("--weights", "grounding=1", runs=runs, canaries=CANARY)
    (canary,) = told["canaries"]
    assert (code, told["runs"], canary["changed"]) == (0, 2000, True)
    assert canary["verdict"]["verdict"] == "Continue"
    assert canary["verdictWouldBe"]["verdict"] == "Promote"
    assert 0 < canary["verdictWouldBe"]["run"] < 2000
    _, told, _ = replay("--weights", "contradictions=1", runs=runs, canaries=CANARY)
    assert told["canaries"][0]["verdictWouldBe"]["verdict"] == "Rollback"


def test_the_same_weights_change_nothing_and_agree_with_evaluate(
    replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = log(runs=1000, better_in="grounding")
    code, told, _ = replay("--weights", "grounding=3,contradictions=3", runs=runs, canaries=CANARY)
    (canary,) = told["canaries"]
    assert (code, canary["changed"], canary["verdict"]) == (0, False, canary["verdictWouldBe"])
    differences = [it["difference"] for it in told["groups"]]
    assert differences == pytest.approx([0.0, 0.0], abs=1e-12)
    files = ["--canary", str(tmp_path / "canaries.yaml"), "--runs", str(tmp_path / "runs")]
    assert main(["evaluate", *files, "-o", "json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert canary["verdict"]["verdict"] == evaluated["verdict"]
    assert canary["verdict"]["run"] == evaluated["runs"]


def test_a_guardrail_judges_what_runs_did_not_report_as_the_worst(replay) -> None:
    runs = [
        {"arm": arm, "propensity": 0.5, "loss": 0.2, "terms": terms}
        for place in range(400)
        for arm, terms in [
            ("candidate", {"grounding": 0.2})
            if place % 2
            else ("control", {"grounding": 0.2, "contradictions": 0.0})
        ]
    ]
    guarded = CANARY + "  analysis: {guardrails: [{term: contradictions}]}\n"
    _, told, _ = replay("--weights", "grounding=1", runs=ndjson(*runs), canaries=guarded)
    (canary,) = told["canaries"]
    assert canary["verdict"]["verdict"] == canary["verdictWouldBe"]["verdict"] == "Rollback"
    assert canary["verdict"]["culprit"] == "contradictions"


def test_csv_reads_alike_and_a_term_without_a_column_was_reported_by_nobody(
    replay, tmp_path: Path
) -> None:
    with (tmp_path / "log.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["arm", "loss", "terms.grounding"])
        rows.writerows([["control", 0.2, 0.2], ["control", 0.4, ""], ["candidate", 0.6, 0.6]])
    text = (tmp_path / "log.csv").read_text()
    code, told, _ = replay("--weights", "grounding=1,ragCoverage=1", runs=text)
    control, candidate = told["groups"]
    assert (code, control["arm"], candidate["arm"]) == (0, "control", "candidate")
    assert control["lossWouldBe"] == pytest.approx((0.6 + 1.0) / 2)
    assert candidate["lossWouldBe"] == pytest.approx(0.8)
    assert told["notReported"] == {"grounding": 1, "ragCoverage": 3}
    assert told["notes"][0].startswith("grounding: 1 of 3 runs did not report it; it counts 1")
    assert told["notes"][1].startswith("ragCoverage: no run reported it; it counts 1")


def test_bundles_are_scored_by_one_doer_and_by_another(replay) -> None:
    bundles = ndjson(
        {"policy": "v1", "metrics": {"grounding": 0.5, "contradictions": 0}},
        {"policy": "v1", "metrics": {"grounding": 0.5}, "costs": {"costUSD": 1.5}},
        {"policy": "v2", "arm": "candidate", "metrics": {"grounding": 1, "contradictions": 0}},
    )
    other = DOER.replace('contradictions: "1"', 'costOverBudget: "1"')
    code, told, _ = replay(runs=bundles, scored_by=DOER, doer=other)
    first, second = told["groups"]
    assert (code, first["policy"], second["policy"]) == (0, "v1", "v2")
    assert first["loss"] == pytest.approx((0.25 + 0.75) / 2)
    assert first["lossWouldBe"] == pytest.approx((0.75 + 0.5) / 2)
    assert (first["partial"], first["partialWouldBe"]) == (1, 1)
    terms = {it["term"]: (it["part"], it["partWouldBe"]) for it in first["terms"]}
    assert terms["grounding"] == (0.25, 0.25)
    assert terms["contradictions"] == (0.25, 0.0)
    _, told, _ = replay("--weights", "costOverBudget=1", runs=bundles, scored_by=DOER)
    assert told["groups"][0]["lossWouldBe"] == pytest.approx((1.0 + 0.5) / 2)  # the budget stays


def test_a_table_tells_who_what_and_why(replay) -> None:
    runs = log(runs=200, better_in="grounding")
    _, told, _ = replay("--weights", "grounding=1", runs=runs, canaries=CANARY, output="table")
    first, second = told.split("\n\n")[:2]
    assert first.splitlines()[0].split()[:3] == ["POLICY", "ARM", "RUNS"]
    assert "grounding 0." in first
    assert second.splitlines()[0].split()[:2] == ["CANARY", "CANDIDATE"]


@pytest.mark.parametrize(
    ("arguments", "files", "runs", "said"),
    [
        (["--weights", "groundng=1"], {}, "{}", "--weights: 'groundng' is none of the nine terms"),
        (["--weights", "grounding"], {}, "{}", "--weights: 'grounding': must be TERM=WEIGHT"),
        (["--weights", "grounding=x"], {}, "{}", "--weights: grounding: 'x' must be a number"),
        (["--weights", "grounding=nan"], {}, "{}", "--weights: grounding: 'nan' must be a number"),
        (["--weights", "grounding=-1"], {}, "{}", "--weights.grounding: is -1.0; use 0 to 1e+09"),
        (["--weights", "grounding=0"], {}, "{}", "--weights: sum to 0; give one term a weight"),
        (["--weights", "grounding=1,grounding=2"], {}, "{}", "grounding must be there once"),
        (["--weights", "grounding=1"], {}, "", "the log is empty"),
        (["--weights", "grounding=1"], {}, '{"metrics": {}}', "--scored-by: must name the Doer"),
        (
            ["--weights", "grounding=1"],
            {"scored_by": DOER},
            '{"metrics": {"grounding": 2}}',
            "line 1: metrics.grounding: is 2; send a rate from 0 to 1",
        ),
        (
            ["--weights", "grounding=1"],
            {},
            '{"arm": "control", "loss": 0.5, "terms": {"grounding": 1.5}}',
            "line 1: terms.grounding: 1.5 is not in [0, 1]",
        ),
        (
            ["--weights", "grounding=1"],
            {"canaries": CANARY + "  analysis: {source: Prometheus, method: Counters}"},
            '{"arm": "control", "loss": 0.5}',
            "--canaries: c1: it is judged from Prometheus",
        ),
        (
            ["--weights", "grounding=1"],
            {"canaries": DOER},
            '{"arm": "control", "loss": 0.5}',
            "canaries.yaml: kind: 'Doer' is not CanaryDeployment",
        ),
    ],
)
def test_what_is_wrong_is_named(replay, arguments, files, runs, said) -> None:
    code, told, error = replay(*arguments, runs=runs, **files)
    assert (code, told) == (2, "")
    assert said in error


def test_a_doer_or_a_file_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crl", "replay", "--weights", "grounding=1"]) == 2
    assert "name a DOER of the run log, or a file with --runs" in capsys.readouterr().err


def test_what_a_log_does_not_tell_of_partial_runs_is_unknown(replay) -> None:
    runs = ndjson({"arm": "control", "loss": 0.5, "terms": {"grounding": 0.5}})
    _, told, _ = replay("--weights", "grounding=1,ragCoverage=1", runs=runs)
    (group,) = told["groups"]
    assert (group["partial"], group["partialWouldBe"]) == (None, 1)
    _, table, _ = replay("--weights", "grounding=1,ragCoverage=1", runs=runs, output="table")
    assert "- -> 1" in table


@pytest.mark.parametrize("option", ["--last", "--days", "--namespace"])
def test_what_only_the_run_log_has_is_refused_of_a_file(replay, option: str) -> None:
    code, _, said = replay("--weights", "grounding=1", option, "5", runs="{}")
    assert (code, said) == (
        2,
        f"learnops crl replay: {option}: must go with a DOER of the run log\n",
    )


@pytest.mark.parametrize("option", ["--scored-by", "--control"])
def test_what_only_a_file_has_is_refused_of_the_run_log(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["crl", "replay", "planner", "--weights", "grounding=1", option, "x"]) == 2
    told = f"learnops crl replay: {option}: must go with a file of --runs\n"
    assert capsys.readouterr().err == told


def test_a_doer_and_a_file_are_not_both_replayed(replay) -> None:
    code, _, said = replay("planner", "--weights", "grounding=1", runs="{}")
    assert code == 2
    assert said == (
        "learnops crl replay: DOER and --runs: must not both be there: "
        "runs are of the run log or of a file\n"
    )


def test_control_is_not_passed_over_where_there_are_bundles(replay) -> None:
    bundle = json.dumps({"metrics": {"grounding": 0.5}})
    given = ("--weights", "grounding=1", "--control", "planner-v1")
    code, _, said = replay(*given, runs=bundle, scored_by=DOER)
    assert (code, "--control: must go with a log of arms" in said) == (2, True)
