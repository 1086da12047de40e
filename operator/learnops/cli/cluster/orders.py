"""`canary pause|resume|abort|retry`: what a person may order, and why it may not apply."""

import argparse
import json
import os
from typing import Any

from learnops.cli.cluster import states
from learnops.cli.cluster.session import (
    Cluster,
    CommandError,
    Json,
    add_dry_run,
    add_flags,
    object_name,
    run_with,
)

_HELP = {
    "pause": "hold its share; one that is shown worse is still rolled back",
    "resume": "let it go on",
    "abort": "give control all runs and end it; the candidate stays Draft",
    "retry": "try an ended one again, as a further attempt that must show more",
}
_DONE = {
    "pause": "paused: its share does not rise",
    "resume": "running",
    "abort": "ordered to abort: control gets all runs",
    "retry": "ordered to try again",
}
_RUNS = {"pause": "Paused", "resume": "Running"}
_ACTIONS = {"abort": "Abort", "retry": "Retry"}


def add_parsers(commands: Any) -> None:
    """Add one subcommand an order."""
    for order, told in _HELP.items():
        parser = commands.add_parser(
            order,
            help=told,
            description=told[0].upper() + told[1:] + ".",
            epilog=f"\nexamples:\n  kubectl learnops canary {order} planner-v2-x7k2p -n agents\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("canary", metavar="NAME", type=object_name)
        if order in _ACTIONS:
            parser.add_argument(
                "--id", help="names the order: the same id is done once (a random one)"
            )
        add_dry_run(parser)
        add_flags(parser)
        parser.set_defaults(run=run, order=order)


def run(arguments: argparse.Namespace) -> int:
    """Give the order; the exit code."""
    order = arguments.order

    async def work(cluster: Cluster) -> int:
        canary = await cluster.get("CanaryDeployment", arguments.canary)
        _check(canary, order)
        spec: Json
        if order in _RUNS:
            spec = {"run": _RUNS[order]}
        else:
            spec = {"action": {"type": _ACTIONS[order], "id": arguments.id or os.urandom(8).hex()}}
        found = await cluster.merge(
            "CanaryDeployment", arguments.canary, {"spec": spec}, dry_run=arguments.dry_run
        )
        if arguments.output == "json":
            print(json.dumps(found, indent=2))
        else:
            dry = " (dry run)" if arguments.dry_run == "server" else ""
            print(f"canary {arguments.canary} is {_DONE[order]}{dry}")
        return 0

    return run_with(arguments, work, command=f"canary {order}")


def _check(canary: Json, order: str) -> None:
    """Raises CommandError where the operator would ignore the order."""
    name, stage = states.name_of(canary), states.stage_of(canary)
    ended = stage in states.ENDS
    if order == "retry" and stage == "Promoted":
        raise CommandError(f"canary {name} has ended Promoted: there is nothing to try again")
    if order == "retry" and stage in ("Shadow", "Canary"):
        raise CommandError(f"canary {name} is under way (stage {stage}): abort it first")
    if order != "retry" and ended:
        raise CommandError(f"canary {name} has ended {stage}: there is nothing to {order}")
