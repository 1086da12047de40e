"""The arguments of `learnops crl replay`, and what it does with them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnops.cli.environment import DATABASE_URL, database_url

if TYPE_CHECKING:
    from learnops.cli.replay.report import Progress, Report

_EXAMPLES = f"""
The runs come from the run log (Postgres, {DATABASE_URL} as for `learnops db`; one read-only
transaction), or with --runs from a file, which has one run a line:

  a log as `learnops evaluate` takes it, NDJSON or CSV, with the normalised terms of each run
  {{"arm": "candidate", "propensity": 0.1, "loss": 0.31, "terms": {{"grounding": 0.2}}}}

  or bundles as `learnops crl compute` takes them (what they scored before is told by --scored-by)
  {{"runId": "r1", "policy": "planner-v1", "metrics": {{"grounding": 0.93}}}}

A term that was not reported counts 1 where the other weights put it in use: it cannot be known.

examples:
  # what if grounding counted twice, and nothing else but contradictions?
  learnops crl replay planner -n agents --weights grounding=2,contradictions=1
  # a whole yardstick: budgets, extra terms, overrides; and the canaries by their own analysis
  kubectl get canarydeployments -n agents -o yaml > canaries.yaml
  learnops crl replay planner -n agents --doer doer.yaml --canaries canaries.yaml
  # without a database: bundles that were exported, scored by one Doer and by another
  learnops crl replay --runs bundles.ndjson --scored-by doer.yaml --doer other.yaml
  # only the decisions that would have been others
  learnops crl replay planner --weights grounding=1 -o json | jq '.canaries[] | select(.changed)'

exit code: 0 it was replayed, whatever would change; 1 no database there; 2 the arguments, a file or
a line of it are wrong
"""
_DAYS = 36_500
_LAST = 10


def add_parser(commands: Any) -> None:
    """Add `replay` to the commands of `learnops crl`."""
    parser = commands.add_parser(
        "replay",
        help="what past runs and decisions would have been under other weights",
        description="Score past runs by another yardstick and judge the recent rollouts again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", nargs="?", metavar="DOER", help="whose runs, in the run log")
    add("-n", "--namespace", help="its namespace (default)")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument(
        "--weights",
        metavar="TERM=WEIGHT,...",
        help="names as in spec.crl.weights; a term that is not named has weight 0. Budgets stay",
    )
    by.add_argument(
        "--doer", dest="doer_file", type=Path, metavar="FILE", help="YAML: a Doer; spec.crl is read"
    )
    add("--runs", metavar="FILE", help="a file instead of the run log; - is standard input")
    add(
        "--scored-by",
        type=Path,
        metavar="FILE",
        help="YAML: the Doer by which bundles of --runs were scored before",
    )
    add("--canaries", type=Path, metavar="FILE", help="YAML: CanaryDeployments, for their analysis")
    add("--control", metavar="POLICY", help="the name of control in a log of --runs")
    add("--last", type=_whole(0, 1000), metavar="N", help=f"rollouts judged again ({_LAST})")
    add("--days", type=_whole(1, _DAYS), metavar="N", help="runs of the last N days (all)")
    add("-o", "--output", choices=("table", "json"), default="table")
    add("-q", "--quiet", action="store_true", help="tell no progress on standard error")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay; the exit code."""
    from learnops.cli.inputs import InputError
    from learnops.cli.replay import output

    if wrong := _wrong(arguments):
        return _failed(wrong, code=2)
    try:
        report = _replayed(arguments)
    except InputError as error:
        return _failed(str(error), code=2)
    if isinstance(report, int):
        return report
    print(output.as_json(report) if arguments.output == "json" else output.as_table(report))
    return 0


def _wrong(arguments: argparse.Namespace) -> str:
    """Why these do not go together; empty: they do. What says nothing here must not be passed
    over: whoever gave it believes that it holds."""
    if arguments.name is None and arguments.runs is None:
        return "name a DOER of the run log, or a file with --runs"
    if arguments.name is not None and arguments.runs is not None:
        return "DOER and --runs: must not both be there: runs are of the run log or of a file"
    file_only, log_only = ("scored_by", "control"), ("namespace", "last", "days")
    for name in file_only if arguments.runs is None else log_only:
        if getattr(arguments, name) is not None:
            where = "a file of --runs" if arguments.runs is None else "a DOER of the run log"
            return f"--{name.replace('_', '-')}: must go with {where}"
    return ""


def _replayed(arguments: argparse.Namespace) -> "Report | int":
    """Raises InputError; an int is the exit code where there is no report."""
    from learnops.adapters.clock import SystemClock
    from learnops.cli.replay.progress import Meter
    from learnops.cli.replay.target import target_of

    target = target_of(arguments)
    meter = Meter(clock=SystemClock(), quiet=arguments.quiet, into=sys.stderr)
    if arguments.runs is not None:
        from learnops.cli.replay import files

        return files.replay(arguments, target, tell=meter)
    return _of_run_log(arguments, target, meter)


def _of_run_log(arguments: argparse.Namespace, target: Any, tell: "Progress") -> "Report | int":
    import psycopg

    from learnops.adapters.postgres.schema import SchemaMismatchError
    from learnops.adapters.postgres.whatif import reading
    from learnops.cli.replay.database import Asked, replay
    from learnops.cli.replay.rejudge import Analyses
    from learnops.cli.replay.verdicts import Decisions

    url = database_url(command="crl replay")
    if url is None:
        return 2
    decisions = Decisions(Analyses.of(arguments.canaries), tell=tell)
    asked = Asked(
        namespace="default" if arguments.namespace is None else arguments.namespace,
        doer=arguments.name,
        days=_DAYS if arguments.days is None else arguments.days,
        last=_LAST if arguments.last is None else arguments.last,
    )
    try:
        with reading(url) as connection:
            return replay(connection, asked, target, decisions=decisions, tell=tell)
    except SchemaMismatchError as error:
        return _failed(f"refused: {error}", code=1)
    except psycopg.Error as error:
        return _failed(f"the run log: {str(error).strip()}", code=1)


def _failed(why: str, *, code: int) -> int:
    print(f"learnops crl replay: {why}", file=sys.stderr)
    return code


def _whole(low: int, high: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or len(text) > 6 or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
        return int(text)

    return number
