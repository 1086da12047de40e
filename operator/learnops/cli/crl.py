"""`learnops crl`: the Composite Run Loss of bundles, without a cluster."""

import argparse
import sys
from pathlib import Path
from typing import Any

from learnops.cli import crl_show
from learnops.cli.replay import command

_EXAMPLES = """
Standard input has one bundle a line, as an agent reports it:

  {"runId": "r1", "metrics": {"grounding": 0.93, "contradictions": 0}, "costs": {"costUSD": 0.02}}

namespace, doer and policy may be absent: they do not change a score. tenant chooses the overrides.

examples:
  # one line of JSON a bundle: loss, terms, weights, contributions, partial, missing
  learnops crl compute --doer doer.yaml < bundles.ndjson
  # for reading
  learnops crl compute --doer doer.yaml -o table < bundles.ndjson
  # the runs that lost most
  learnops crl compute --doer doer.yaml < bundles.ndjson | jq -c '[.loss, .runId]' | sort -r | head

exit code: 0 every bundle was scored; 2 the doer is wrong, or a line is no bundle (it is named on
standard error, and the others are scored)
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its own."""
    parser = subparsers.add_parser(
        "crl", help="the Composite Run Loss: of bundles, of a run, under other weights"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    compute = commands.add_parser(
        "compute",
        help="score the bundles on standard input",
        description="Score bundles with the weights of a Doer, by the code that ingest runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = compute.add_argument
    add("--doer", required=True, type=Path, metavar="FILE", help="YAML: a Doer; spec.crl is read")
    add("--bundles", default="-", metavar="FILE", help="the bundles; - is standard input")
    add("-o", "--output", choices=("json", "table"), default="json")
    compute.set_defaults(run=run)
    command.add_parser(commands)
    crl_show.add_parser(commands)


def run(arguments: argparse.Namespace) -> int:
    """Score; the exit code."""
    from learnops.cli.inputs import InputError, opened
    from learnops.cli.scored import Scorer, Summary, table_line

    try:
        scorer = Scorer.of(arguments.doer)
        with opened(arguments.bundles, refuse=False) as source:
            summary = Summary()
            if arguments.output == "table":
                print(table_line(None))
            for scored in scorer.scores(source):
                summary.add(scored)
                if scored.error is not None:
                    print(f"learnops crl compute: {scored.error}", file=sys.stderr)
                elif arguments.output == "table":
                    print(table_line(scored))
                else:
                    print(scored.to_json())
    except InputError as error:
        print(f"learnops crl compute: {error}", file=sys.stderr)
        return 2
    print(summary.sentence(), file=sys.stderr)
    return 2 if summary.refused or not summary.scored else 0
