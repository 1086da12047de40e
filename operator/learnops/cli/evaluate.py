"""`learnops evaluate`: what the shipped engine makes of a run log, without a cluster."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

_EXAMPLES = """
The log has one run a line, in registration order, as NDJSON or as CSV with a header:

  {"canary": "c1", "arm": "candidate", "propensity": 0.1, "loss": 0.31, "terms": {"grounding": 0.2}}

  canary,arm,propensity,loss,terms.grounding
  c1,candidate,0.1,0.31,0.2

canary may be absent where the log is of one; terms are needed only where the canary has guardrails.
propensity is the probability with which the *candidate* was chosen for this run.

examples:
  # what would the operator have decided?
  learnops evaluate --canary canary.yaml --runs runs.csv
  # from a pipe, for a program: one line of JSON a canary
  zcat runs.ndjson.gz | learnops evaluate --canary canary.yaml --runs - -o json
  # a log whose arms are called by their policies
  learnops evaluate --canary canary.yaml --runs runs.csv --control planner-v1

exit code: 0 it was evaluated, whatever the verdict; 2 the canary or a line of the log is wrong
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "evaluate",
        help="judge a run log as the operator does, without a cluster",
        description="Judge a run log with the operator's own decision engine.",
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
    from learnops.cli.evaluation.errors import EvaluationError

    try:
        judgements = _evaluate(arguments)
    except EvaluationError as error:
        print(f"learnops evaluate: {error}", file=sys.stderr)
        return 2
    if arguments.output == "json":
        for canary, judgement in judgements.items():
            print(output.line(canary, judgement))
    else:
        print(output.table(judgements))
    return 0


def _evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import replace

    from learnops.api.guardrails import on_queries, on_terms
    from learnops.app.evidence.reading import plan_of
    from learnops.cli.evaluation import columns, manifest, rows
    from learnops.domain.evidence.verdict import Limits, judge

    canary = manifest.load(arguments.canary)
    analysis = canary.spec.analysis
    for query in on_queries(analysis.guardrails):
        text = (
            f"guardrail {query.name} is left out: a log of runs does not tell what Prometheus did"
        )
        print(f"learnops evaluate: {text}", file=sys.stderr)
    limits = Limits(
        min_candidate_runs=analysis.min_candidate_runs,
        max_runs=analysis.max_runs,
        breaches=tuple(it.borne for it in on_terms(analysis.guardrails)),
    )
    # A log that has ended is not ramped: its shares are in it.
    plan = replace(plan_of(canary, attempt=arguments.attempt), ramp=())
    terms = [guardrail.term for guardrail in plan.guardrails]
    arms = manifest.arms_of(canary, control=arguments.control)
    with _opened(arguments.runs) as source:
        logs = columns.logs_of(rows.read(source, terms=terms), arms=arms, terms=terms)
    return {name: judge(plan, limits, log) for name, log in logs.items()}


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    """The log as text; standard input is left open."""
    from learnops.cli.evaluation.errors import EvaluationError

    if name == "-":
        yield sys.stdin
        return
    try:
        file = Path(name).open(encoding="utf-8", newline="")  # noqa: SIM115 - closed below
    except OSError as error:
        raise EvaluationError(f"{name}: cannot be read ({error.strerror})") from error
    with file:
        yield file


def _attempt(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1000")
    return int(text)
