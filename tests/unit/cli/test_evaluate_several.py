"""`learnops evaluate` on A/B/n logs, and with one look."""

import csv
import io
import json

import numpy as np
import pytest

from learnops.cli.evaluation.arms import arms_of
from learnops.cli.main import main
from learnops.domain.evidence import anytime, types

ABN = """
kind: CanaryDeployment
spec:
  candidateRefs: [{name: a}, {name: b}, {name: c}]
  analysis: {minCandidateRuns: 20}
"""
ONE_LOOK = """
kind: CanaryDeployment
spec:
  candidateRefs: [{name: a}]
  strategy: {canary: {steps: [50]}}
  analysis: {minCandidateRuns: 20, maxRuns: 205, method: FixedHorizon}
"""
SHARES = {"control": 0.4, "a": 0.2, "b": 0.2, "c": 0.2}
MEANS = {"control": 0.4, "a": 0.3, "b": 0.6, "c": 0.4}


def abn_log(*, runs=1500, dropped_at=1000, seed=1):
    """a is better, b worse and dropped later, c the same."""
    rng = np.random.default_rng(seed)
    found, shares = [], SHARES
    for number in range(runs):
        if number == dropped_at:
            shares = {"control": 0.6, "a": 0.2, "b": 0, "c": 0.2}
        arm = str(rng.choice(list(shares), p=list(shares.values())))
        loss = float(rng.beta(MEANS[arm] * 10, (1 - MEANS[arm]) * 10))
        found.append({"arm": arm, "propensity": shares, "loss": loss})
    return found


def two_arm_log(*, difference, runs=300, seed=1):
    rng = np.random.default_rng(seed)
    drawn = rng.random(runs) < 0.5
    losses = np.clip(rng.beta(4, 6, runs) + difference * drawn, 0, 1)
    return [
        {"arm": "a" if one else "control", "propensity": 0.5, "loss": float(loss)}
        for one, loss in zip(drawn, losses, strict=True)
    ]


def ndjson(runs):
    return "".join(json.dumps(run) + "\n" for run in runs)


def as_csv(runs):
    names = [f"propensity.{name}" for name in SHARES]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["arm", *names, "loss"])
    writer.writerows([it["arm"], *it["propensity"].values(), it["loss"]] for it in runs)
    return text.getvalue()


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Runs the command on a log given as text; exit code, output, error."""

    def run(text, *arguments, canary=ABN):
        (tmp_path / "canary.yaml").write_text(canary)
        (tmp_path / "runs").write_text(text)
        given = ["--canary", str(tmp_path / "canary.yaml"), "--runs", str(tmp_path / "runs")]
        code = main(["evaluate", *given, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_each_candidate_has_its_own_verdict(evaluate):
    code, out, err = evaluate(ndjson(abn_log()), "-o", "json")
    assert (code, err) == (0, "")
    assert [(it["candidate"], it["verdict"]) for it in lines(out)] == [
        ("a", "Promote"),
        ("b", "Rollback"),
        ("c", "Continue"),
    ]
    thresholds = [it["evidence"]["rollback"]["threshold"] for it in lines(out)]
    assert thresholds == pytest.approx([60.0] * 3)  # each at a third of 0.05


def test_both_formats_are_judged_alike_to_the_last_digit(evaluate):
    runs = abn_log()
    assert evaluate(ndjson(runs), "-o", "json") == evaluate(as_csv(runs), "-o", "json")


def test_the_evidence_is_that_of_the_engine_on_control_and_this_candidate(evaluate):
    runs = abn_log(dropped_at=None)
    arms = np.array([it["arm"] for it in runs])
    log = types.Observations(
        seq=np.arange(1, len(runs) + 1),
        is_candidate=arms == "c",
        propensity=np.full(len(runs), 0.2),
        loss=np.array([it["loss"] for it in runs]),
        is_other=~np.isin(arms, ["c", "control"]),
        control_propensity=np.full(len(runs), 0.4),
    )
    plan = types.TestPlan(candidates=3, interval=True)
    expected = anytime.advance(anytime.start(plan), log).evidence()
    told = lines(evaluate(ndjson(runs), "-o", "json")[1])[2]
    assert told["verdict"] == "Continue"
    assert told["evidence"]["promote"]["logE"] == expected.promote.log_e
    assert told["evidence"]["rollback"]["logE"] == expected.rollback.log_e
    assert told["difference"]["low"] == expected.difference.low


def test_runs_after_a_candidate_was_dropped_are_no_evidence_on_it(evaluate):
    short = abn_log(runs=50, dropped_at=30)
    told = lines(evaluate(ndjson(short), "-o", "json")[1])
    until = lines(evaluate(ndjson(short[:30]), "-o", "json")[1])
    assert told[1]["evidence"]["rollback"] == until[1]["evidence"]["rollback"]
    assert told[0]["evidence"]["rollback"] != until[0]["evidence"]["rollback"]


def test_the_control_policy_goes_by_its_own_name_too(evaluate):
    renamed = [
        {
            "arm": "v1" if it["arm"] == "control" else it["arm"],
            "propensity": {"v1" if k == "control" else k: v for k, v in it["propensity"].items()},
            "loss": it["loss"],
        }
        for it in abn_log()
    ]
    assert evaluate(ndjson(renamed), "--control", "v1") == evaluate(ndjson(abn_log()))


BAD_LINES = [
    ({"propensity": 0.2}, "line 3: propensity: is not an object: must be a map by name"),
    ({"propensity": {}}, "line 3: propensity.control: missing"),
    ({"propensity": {**SHARES, "c": None}}, "line 3: propensity.c: missing"),
    ({"propensity": {**SHARES, "c": "0.2"}}, "line 3: propensity.c: '0.2' is not a number"),
    ({"propensity": {**SHARES, "c": -0.2}}, "line 3: propensity.c: -0.2 is not strictly between"),
    ({"propensity": {**SHARES, "control": 0}}, "line 3: propensity.control: 0 is not strictly"),
    (
        {"propensity": {**SHARES, "c": 0.1}},
        "line 3: propensity: the probabilities of all arms add up to 0.9; they must add up to 1",
    ),
    (
        {"arm": "b", "propensity": {"control": 0.6, "a": 0.2, "b": 0, "c": 0.2}},
        "line 3: arm: b was drawn and its propensity is 0",
    ),
    ({"arm": "candidate"}, "line 3: arm: 'candidate' is none of a, b, c, control"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_LINES)
def test_a_bad_line_is_named_and_nothing_is_decided(evaluate, changes, message):
    runs = abn_log(runs=50)
    runs[2] |= changes
    code, out, err = evaluate(ndjson(runs))
    assert (code, out) == (2, "")
    assert err.startswith(f"learnops evaluate: {message}")


def test_a_csv_needs_a_column_for_each_arm(evaluate):
    _, _, err = evaluate("arm,propensity,loss\na,0.2,0.3\n")
    assert "line 1: propensity.control: no such column; the header is arm,propensity,loss" in err


@pytest.mark.parametrize(
    ("refs", "message"),
    [
        ("[{name: a}, {name: a}]", "spec.candidateRefs: must name each candidate once"),
        ("[{name: a}, {name: control}]", "spec.candidateRefs: must not name a candidate control"),
        ("[{name: a}, {}]", "spec.candidateRefs.1.name: Field required"),
        ("[" + "{name: a}, " * 6 + "]", "spec.candidateRefs: Tuple should have at most 5 items"),
    ],
)
def test_candidates_that_cannot_be_told_apart_are_refused(evaluate, refs, message):
    canary = ABN.replace("[{name: a}, {name: b}, {name: c}]", refs)
    code, out, err = evaluate(ndjson(abn_log(runs=20)), canary=canary)
    assert (code, out) == (2, "")
    assert f"canary.yaml: {message}" in err


def test_a_single_candidate_is_told_by_its_number_alone():
    arms = arms_of(["a"], control="v1")
    assert (arms.several, arms.shares) == (False, ("propensity",))
    assert arms.numbers == {"control": 0, "v1": 0, "a": 1, "candidate": 1}


@pytest.mark.parametrize(
    ("difference", "verdict", "reason"),
    [(-0.2, "Promote", "Better"), (0.2, "Rollback", "Worse"), (0.0, "Hold", "NoVerdict")],
)
def test_one_look_decides_at_the_planned_run(evaluate, difference, verdict, reason):
    runs = two_arm_log(difference=difference)
    told = lines(evaluate(ndjson(runs), "-o", "json", canary=ONE_LOOK)[1])[0]
    assert (told["verdict"], told["reason"], told["runs"]) == (verdict, reason, 205)
    found = told["evidence"]["pValues"]
    assert found["promote"] + found["rollback"] == pytest.approx(1.0)
    assert (found["promote"] <= 0.0304) == (verdict == "Promote")
    # What comes after it changes nothing.
    assert lines(evaluate(ndjson(runs[:205]), "-o", "json", canary=ONE_LOOK)[1])[0] == told
    assert "promote p " in evaluate(ndjson(runs), canary=ONE_LOOK)[1]


def test_before_the_planned_run_nothing_is_concluded(evaluate):
    runs = two_arm_log(difference=0.4)[:204]
    told = lines(evaluate(ndjson(runs), "-o", "json", canary=ONE_LOOK)[1])[0]
    assert (told["verdict"], told["reason"], told["runs"]) == ("Continue", "Progressing", 204)
    assert "pValues" not in told["evidence"]


def test_one_look_promotes_no_split_that_is_not_as_planned(evaluate):
    runs = [it | {"propensity": 0.2} for it in two_arm_log(difference=-0.2)]
    told = lines(evaluate(ndjson(runs), "-o", "json", canary=ONE_LOOK)[1])[0]
    assert (told["verdict"], told["reason"]) == ("Hold", "SampleRatioMismatch")


def test_one_look_names_the_line_at_which_the_share_changed(evaluate):
    runs = two_arm_log(difference=0.0)
    runs[99] |= {"propensity": 0.25}
    code, out, err = evaluate(ndjson(runs), canary=ONE_LOOK)
    assert (code, out) == (2, "")
    assert "line 100: propensity: 0.25 where the runs before it have 0.5; method Fixed" in err


def test_one_look_compares_one_candidate(evaluate):
    canary = ONE_LOOK.replace("[{name: a}]", "[{name: a}, {name: b}]")
    _, _, err = evaluate(ndjson(abn_log(runs=20)), canary=canary)
    assert "spec: must be Anytime with source RunLog with more than one candidate" in err


def test_more_shares_than_a_canary_has_are_refused_not_judged(evaluate):
    runs = two_arm_log(difference=0.0)
    for number, run in enumerate(runs):
        run["propensity"] = 0.3 + number / 1000
    canary = "kind: CanaryDeployment\nspec: {candidateRefs: [{name: a}], analysis: {}}\n"
    code, out, err = evaluate(ndjson(runs), canary=canary)
    assert (code, out) == (2, "")
    assert "different probabilities" in err
