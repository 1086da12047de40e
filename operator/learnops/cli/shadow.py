"""`learnops shadow`: a canary that begins with a shadow stage."""

import argparse
from typing import Any

from learnops.cli.cluster import starting

_EXAMPLES = """
examples:
  kubectl learnops shadow start planner --candidate planner-v2 --pairs 200
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its own."""
    parser = subparsers.add_parser(
        "shadow",
        help="let a candidate run beside the active policy before it answers anybody",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    starting.add_shadow(commands)
