"""`learnops canary`: start one, read its report, order it about."""

import argparse
from typing import Any

from learnops.cli.cluster import orders, report, starting

_EXAMPLES = """
A verdict comes from the evidence alone: there is no order that promotes. `abort` is the roll-back
by a person: control gets all runs, the candidate stays Draft and may be tried again.

examples:
  kubectl learnops canary start planner --candidate planner-v2 --steps 10,50
  kubectl learnops canary report planner-v2-x7k2p
  kubectl learnops canary pause planner-v2-x7k2p
  kubectl learnops canary abort planner-v2-x7k2p

exit code: 0, 1 refused: the reason is told, 2 a wrong argument
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its own."""
    parser = subparsers.add_parser(
        "canary",
        help="start a canary, read its report, pause, resume, abort, retry",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    starting.add_canary(commands)
    report.add_parser(commands)
    orders.add_parsers(commands)
