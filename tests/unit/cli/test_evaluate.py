"""`learnops evaluate`: the verdicts of a log, and what it says of a log with a bad line."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from learnops.cli.main import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "evaluate"
CANARY = """
kind: CanaryDeployment
spec:
  analysis:
    minCandidateRuns: 20
"""
SEVERAL = CANARY + "  candidateRefs: [{name: a}, {name: b}]\n"
GUARDED = CANARY + "    guardrails: [{term: grounding, immediate: {maxCount: 1}}]\n"
RUN = {"arm": "candidate", "propensity": 0.5, "loss": 0.3}


def log(*, runs=600, difference=-0.2, canary=None, seed=1):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(runs):
        candidate = bool(rng.random() < 0.5)
        loss = float(np.clip(rng.beta(2.5, 35 / 6) + difference * candidate, 0, 1))
        arm = "candidate" if candidate else "control"
        run = {"arm": arm, "propensity": 0.5, "loss": loss}
        found.append(run if canary is None else {"canary": canary, **run})
    return found


def ndjson(runs):
    return "".join(json.dumps(run) + "\n" for run in runs)


def as_csv(runs):
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(runs[0]))
    writer.writeheader()
    writer.writerows(runs)
    return text.getvalue()


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Runs the command on a canary and a log given as text; exit code, output, error."""

    def run(text, *arguments, canary=CANARY):
        (tmp_path / "canary.yaml").write_text(canary)
        (tmp_path / "runs").write_text(text)
        given = ["--canary", str(tmp_path / "canary.yaml"), "--runs", str(tmp_path / "runs")]
        code = main(["evaluate", *given, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.mark.parametrize("written", [ndjson, as_csv])
@pytest.mark.parametrize(("difference", "expected"), [(-0.2, "Promote"), (0.2, "Rollback")])
def test_both_formats_give_the_verdict(evaluate, written, difference, expected):
    code, out, err = evaluate(written(log(difference=difference)), "-o", "json")
    told = json.loads(out)
    assert (code, err, told["verdict"]) == (0, "", expected)
    assert told["runs"] % 10 == 0
    assert told["difference"]["low"] <= told["difference"]["estimate"]
    assert told["culprit"] == ("loss" if expected == "Rollback" else None)


def test_both_formats_are_judged_alike_to_the_last_digit(evaluate):
    runs = log(difference=0.0)
    assert evaluate(ndjson(runs), "-o", "json") == evaluate(as_csv(runs), "-o", "json")


def test_canaries_that_are_mixed_are_judged_apart_in_the_order_of_their_first_run(evaluate):
    good, bad = log(canary="good"), log(difference=0.2, canary="bad", seed=2)
    mixed = [run for pair in zip(good, bad, strict=True) for run in pair]
    _, out, _ = evaluate(ndjson(mixed), "-o", "json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [(it["canary"], it["verdict"]) for it in told] == [
        ("good", "Promote"),
        ("bad", "Rollback"),
    ]
    _, alone, _ = evaluate(ndjson(bad), "-o", "json")
    assert json.loads(alone) == told[1]


def test_standard_input_is_read(evaluate, monkeypatch, capsys, tmp_path):
    evaluate(ndjson(log()))
    monkeypatch.setattr(sys, "stdin", io.StringIO(ndjson(log())))
    arguments = ["--canary", str(tmp_path / "canary.yaml"), "--runs", "-"]
    assert main(["evaluate", *arguments]) == 0
    assert "Promote" in capsys.readouterr().out


def test_the_example_of_the_docs(capsys):
    arguments = ["--canary", str(EXAMPLE / "canary.yaml"), "--runs", str(EXAMPLE / "runs.csv")]
    assert main(["evaluate", *arguments, "--control", "planner-v1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["better", "Promote"],
        ["worse", "Rollback"],
        ["broken-term", "Rollback"],
    ]
    assert "Worse (grounding)" in lines[3]


def test_a_later_attempt_must_show_more(evaluate):
    thresholds = [
        json.loads(evaluate(ndjson(log()), "-o", "json", "--attempt", attempt)[1])["evidence"][
            "promote"
        ]["threshold"]
        for attempt in ("1", "3")
    ]
    assert thresholds[1] == pytest.approx(9 * thresholds[0])


BAD_LINES = [
    ({"loss": 1.3}, "line 3: loss: 1.3 is not in [0, 1]"),
    ({"loss": -0.1}, "line 3: loss: -0.1 is not in [0, 1]"),
    ({"loss": None}, "line 3: loss: missing"),
    ({"loss": "0.3"}, "line 3: loss: '0.3' is not a number"),
    ({"loss": True}, "line 3: loss: True is not a number"),
    ({"loss": [1]}, "line 3: loss: [1] is not a number"),
    ({"propensity": 0}, "line 3: propensity: 0 is not strictly between 0 and 1"),
    ({"propensity": 1.0}, "line 3: propensity: 1.0 is not strictly between 0 and 1"),
    ({"propensity": None}, "line 3: propensity: missing"),
    ({"propensity": {"a": 0.1}}, "line 3: propensity: a map by name (A/B/n)"),
    ({"arm": "other"}, "line 3: arm: 'other' is none of candidate, control"),
    ({"arm": None}, "line 3: arm: None is none of"),
    ({"arm": ["candidate"]}, "line 3: arm: ['candidate'] is none of"),
    ({"canary": 7}, "line 3: canary: must be a name"),
    ({"canary": ""}, "line 3: canary: must be a name"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_LINES)
def test_a_bad_line_is_named_and_nothing_is_decided(evaluate, changes, message):
    named = [{"canary": "c1", **run} for run in log(runs=50)]
    named[2] |= changes
    code, out, err = evaluate(ndjson(named))
    assert (code, out) == (2, "")
    assert err.startswith(f"learnops evaluate: {message}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"x"'])
def test_what_json_should_not_hold_is_no_loss(evaluate, value):
    text = ndjson([RUN]) + f'{{"arm": "control", "propensity": 0.5, "loss": {value}}}\n'
    code, _, err = evaluate(text)
    assert code == 2
    assert "line 2: loss: " in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the log is empty"),
        ("\n\n", "the log is empty"),
        ("arm,propensity,loss\n", "the log has no run"),
        ("arm,loss\ncontrol,0.3\n", "line 1: propensity: no such column; the header is arm,loss"),
        ("arm,propensity,loss,loss\n", "line 1: header: has a column twice"),
        ("arm,propensity,loss\ncontrol,0.5\n", "line 2: columns: 2 where the header has 3"),
        ("arm,propensity,loss\n\ncontrol,0.5,x\n", "line 3: loss: 'x' is not a number"),
        ("arm,propensity,loss\ncontrol,0.5,\n", "line 2: loss: missing"),
        ("arm,propensity,loss\ncontrol,0.5,nan\n", "line 2: loss: 'nan' is not a number"),
        ('arm,propensity,loss\n"control,0.5,0.3\n', "line 2: columns: not CSV"),
        ("{}\n{\n", "line 2: line: is not JSON"),
        ("{}\n[]\n", "line 2: line: is not a JSON object"),
    ],
)
def test_a_log_that_is_none_is_refused(evaluate, text, message):
    code, out, err = evaluate(text)
    assert (code, out) == (2, "")
    assert err.startswith(f"learnops evaluate: {message}")


def test_a_guardrail_needs_its_term(evaluate):
    code, _, err = evaluate(ndjson(log(runs=50)), canary=GUARDED)
    assert (code, err) == (2, "learnops evaluate: line 1: terms.grounding: missing\n")
    _, _, err = evaluate(as_csv(log(runs=50)), canary=GUARDED)
    assert "line 1: terms.grounding: no such column" in err
    runs = [run | {"terms": 3} for run in log(runs=20)]
    assert "line 1: terms: is not an object" in evaluate(ndjson(runs), canary=GUARDED)[2]


def test_a_breach_is_a_roll_back_that_names_the_term(evaluate):
    runs = [run | {"terms": {"grounding": 0.1}} for run in log(runs=50)]
    _, out, _ = evaluate(ndjson(runs), "-o", "json", canary=GUARDED)
    told = json.loads(out)
    assert (told["reason"], told["culprit"]) == ("GuardrailBreached", "grounding")
    assert told["candidateRuns"] == 2


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        ("kind: Doer\nspec: {}\n", "kind: 'Doer' is not CanaryDeployment"),
        ("a: [", "is not YAML"),
        ("[]", "must be one CanaryDeployment"),
        ("kind: CanaryDeployment\n", "spec: must be there, with analysis in it"),
        (CANARY + "    promote: {level: '2'}\n", "spec.analysis.promote.level: must be a decimal"),
        (CANARY + "    source: Prometheus\n", "spec.analysis.source: must be RunLog"),
        (SEVERAL, "spec.candidateRefs: must name one policy"),
        (CANARY + "    guess: 1\n", "spec.analysis.guess: Extra inputs are not permitted"),
    ],
)
def test_a_canary_that_is_wrong_is_named(evaluate, canary, message):
    code, out, err = evaluate(ndjson(log(runs=20)), canary=canary)
    assert (code, out) == (2, "")
    assert f"canary.yaml: {message}" in err


def test_files_that_are_not_there_are_named(tmp_path, capsys):
    for missing in ("canary.yaml", "runs"):
        arguments = ["--canary", str(tmp_path / "canary.yaml"), "--runs", str(tmp_path / "runs")]
        assert main(["evaluate", *arguments]) == 2
        assert f"{missing}: cannot be read (No such file" in capsys.readouterr().err
        (tmp_path / "canary.yaml").write_text(CANARY)
