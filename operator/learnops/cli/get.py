"""`learnops get`: each doer, what it runs, and where its rollout stands."""

import argparse
import json
from typing import Any

from learnops.cli.cluster.session import Cluster, Json, add_flags, object_name, run_with
from learnops.cli.cluster.states import live_of, name_of, names, shares, state
from learnops.cli.cluster.tables import table

_HEADINGS = ("DOER", "ACTIVE", "ROLLOUT", "STAGE", "CANDIDATE", "SHARE", "VERDICT", "WAITING FOR")
_WIDEST = 100
_EXAMPLES = """
One line a doer. STAGE is that of its live rollout, SHARE the candidate's part of the runs, VERDICT
what the evidence says until now, WAITING FOR what has to happen next, or what is wrong.

examples:
  # the doers of the kubeconfig's namespace
  kubectl learnops get
  # one of them, for a program
  kubectl learnops get planner -n agents -o json | jq -r '.[0].active'

exit code: 0, 1 where there is no such doer or the API server refuses, 2 a wrong argument
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "get",
        help="doers with their active policy and their rollout",
        description="Each doer, the policy that is active, and where its rollout stands.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("doer", metavar="DOER", nargs="?", type=object_name, help="only this one")
    add_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print; the exit code."""

    async def work(cluster: Cluster) -> int:
        print(_text(await _states(cluster, arguments.doer), cluster, output=arguments.output))
        return 0

    return run_with(arguments, work, command="get")


async def _states(cluster: Cluster, doer: str | None) -> list[Json]:
    doers = [await cluster.get("Doer", doer)] if doer else await cluster.items("Doer")
    canaries = await cluster.items("CanaryDeployment")
    return [state(it, next(iter(live_of(name_of(it), canaries)), None)) for it in doers]


def _text(found: list[Json], cluster: Cluster, *, output: str) -> str:
    if output == "json":
        return json.dumps(found, indent=2)
    if not found:
        return f"No doers in namespace {cluster.namespace}."
    rows = [
        (
            *(it["doer"], it["active"], it["rollout"], it["stage"]),
            *(names(it), shares(it), it["verdict"], _short(it["waitingFor"])),
        )
        for it in found
    ]
    return table(_HEADINGS, rows)


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= _WIDEST:
        return text
    return f"{text[: _WIDEST - 1]}…"
