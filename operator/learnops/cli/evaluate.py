"""`learnops evaluate`: what the shipped engine makes of a run log, without a cluster."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learnops.cli.evaluation.judging import Judged

_EXAMPLES = """
The log has one run a line, in registration order, as NDJSON or as CSV with a header:

  {"canary": "c1", "arm": "candidate", "propensity": 0.1, "loss": 0.31, "terms": {"grounding": 0.2}}

  canary,arm,propensity,loss,terms.grounding
  c1,candidate,0.1,0.31,0.2

canary may be absent where the log is of one; terms are needed only where the canary has guardrails.
propensity is the probability with which the *candidate* was chosen for this run; where the canary
has several candidates it is told by name, for control and for each of them:

  {"arm": "b", "propensity": {"control": 0.5, "a": 0.25, "b": 0.25}, "loss": 0.31}

  arm,propensity.control,propensity.a,propensity.b,loss
  b,0.5,0.25,0.25,0.31

examples:
  # what would the operator have decided?
  learnops evaluate --canary canary.yaml --runs runs.csv
  # from a pipe, for a program: one line of JSON a canary
  zcat runs.ndjson.gz | learnops evaluate --canary canary.yaml --runs - -o json
  # a log whose arms are called by their policies
  learnops evaluate --canary canary.yaml --runs runs.csv --control planner-v1

verdict and reason are the operator's: rules and their order are one function that both ask. maxRuns
counts the runs of all arms. What a log does not tell is left out: the deadline, pauses, guardrails
on queries, which runs timed out. Each candidate is judged as if it were alone with control.

exit code: 0 it was evaluated, whatever the verdict; 2 the canary or a line of the log is wrong
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "evaluate",
        help="judge a run log as the operator does, without a cluster",
        description="Judge a run log by the rules, in the order, by which the operator decides.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--canary", required=True, type=Path, metavar="FILE", help="YAML: a CanaryDeployment")
    add("--runs", required=True, metavar="FILE", help="the log; - is standard input")
    add("--control", default=None, metavar="POLICY", help="the name of control in the log")
    add("--attempt", type=_attempt, default=1, help="which try of this candidate it is (1)")
    add("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; the exit code."""
    from learnops.cli.evaluation import output
    from learnops.cli.inputs import InputError

    try:
        judged = _evaluate(arguments)
    except InputError as error:
        print(f"learnops evaluate: {error}", file=sys.stderr)
        return 2
    if arguments.output == "json":
        for one in judged:
            print(output.line(one))
    else:
        print(output.table(judged))
    return 0


def _evaluate(arguments: argparse.Namespace) -> "list[Judged]":
    from learnops.api.guardrails import on_queries
    from learnops.cli.evaluation import judging, logs, manifest, rows
    from learnops.cli.evaluation.arms import arms_of
    from learnops.cli.evaluation.names import TERM
    from learnops.cli.inputs import opened
    from learnops.domain.arms import candidates_of

    canary = manifest.load(arguments.canary)
    for query in on_queries(canary.spec.analysis.guardrails):
        text = (
            f"guardrail {query.name} is left out: a log of runs does not tell what Prometheus did"
        )
        print(f"learnops evaluate: {text}", file=sys.stderr)
    judge = judging.judge_of(canary, attempt=arguments.attempt)
    arms = arms_of(candidates_of(canary), control=arguments.control)
    terms = [guardrail.term for guardrail in judge.plan.guardrails]
    needed = ["arm", *arms.shares, "loss", *(TERM + term for term in terms)]
    with opened(arguments.runs) as source:
        found = logs.logs_of(rows.read(source, needed=needed), arms=arms, terms=terms)
    return [judge(log) for log in found]


def _attempt(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1000")
    return int(text)
