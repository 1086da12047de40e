"""`canary report`: what is known of a canary, and what to do about it."""

import argparse
import json
from typing import Any

from learnops.cli.cluster.session import (
    Cluster,
    CommandError,
    Json,
    add_flags,
    object_name,
    run_with,
)
from learnops.cli.cluster.tables import number, table

_EXAMPLES = """
DIFFERENCE is the candidate's mean loss minus control's, below 0 is better, with an interval that
the truth never leaves, at whatever look (95 %). E PROMOTE and E ROLLBACK are e-values beside what
it takes of them. NEEDED is how many more runs of all arms a verdict takes, if they are like those
so far.

examples:
  kubectl learnops canary report planner-v2-x7k2p -n agents
  # the answer of GET /v1/canaries/NAME
  kubectl learnops canary report planner-v2-x7k2p -o json | jq .recommendation

exit code: 0, 1 where there is no such canary or the API server refuses, 2 a wrong argument
"""
_HEADINGS = (
    *("CANDIDATE", "RUNS", "CONTROL RUNS", "LOSS", "CONTROL LOSS", "DIFFERENCE"),
    *("E PROMOTE", "E ROLLBACK", "NEEDED", "VERDICT"),
)


def add_parser(commands: Any) -> None:
    """Add `canary report`."""
    parser = commands.add_parser(
        "report",
        help="the evidence, the verdict, and what it waits for",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("canary", metavar="NAME", type=object_name)
    add_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the exit code."""

    async def work(cluster: Cluster) -> int:
        # Heavy imports only now: `learnops --help` must be quick.
        from pydantic import ValidationError

        from learnops.api.canary import CanaryDeployment
        from learnops.app.reports import canary_report
        from learnops.cli.inputs import first_of

        found = await cluster.get("CanaryDeployment", arguments.canary)
        try:
            told = canary_report(CanaryDeployment.model_validate(found))
        except ValidationError as error:
            text = f"canary {arguments.canary} is not of this version: {first_of(error)}"
            raise CommandError(text) from error
        print(json.dumps(told, indent=2) if arguments.output == "json" else _text(told))
        return 0

    return run_with(arguments, work, command="canary report")


def _text(told: Json) -> str:
    shares = ", ".join(f"{it['policy']} {it['percent']} %" for it in told["shares"])
    head = [
        ("canary", f"{told['name']} of doer {told['doer']}"),
        ("stage", told["stage"] or "Pending"),
        ("shares", shares),
        ("recommendation", told["recommendation"]),
        ("waiting for", told["waitingFor"]),
        ("decided about", told["estimatedDecisionTime"]),
        ("shadow", _shadow(told["shadow"])),
        ("low traffic", _low_traffic(told["lowTraffic"])),
    ]
    lines = [f"{name:<16} {it}" for name, it in head if it]
    if told["candidates"]:
        lines += ["", table(_HEADINGS, [_row(it) for it in told["candidates"]])]
    lines += [_culprit(it) for it in told["candidates"] if _culprit(it)]
    lines += ["", *(_happened(it) for it in told["history"])]
    return "\n".join(lines).rstrip()


def _row(told: Json) -> list[object]:
    evidence = told["evidence"] or {}
    return [
        told["name"],
        told["runs"],
        told["controlRuns"],
        number(told["loss"]),
        number(told["controlLoss"]),
        _difference(told["difference"]),
        _of(evidence, "promote"),
        _of(evidence, "rollback"),
        told["runsStillNeeded"],
        told["verdict"],
    ]


def _difference(told: Json | None) -> str | None:
    if told is None:
        return None
    return f"{told['estimate']:+.3f} [{told['low']:+.3f}, {told['high']:+.3f}]"


def _of(evidence: Json, name: str) -> str | None:
    if name not in evidence:
        return None
    value, threshold = float(evidence[name]), float(evidence[f"{name}Threshold"])
    return f"{value:.3g} of {threshold:.3g}"


def _shadow(told: Json | None) -> str | None:
    if told is None:
        return None
    outcome = told.get("outcome") or "going on"
    return f"{told.get('pairs', 0)} pairs, {outcome}"


def _low_traffic(told: Json | None) -> str | None:
    return None if told is None or told["status"] != "True" else str(told["message"])


def _culprit(told: Json) -> str:
    culprit = (told["evidence"] or {}).get("culprit")
    return f"{told['name']}: most told for roll-back: {culprit}" if culprit else ""


def _happened(entry: Json) -> str:
    return f"{entry['time'][:19]}Z  {entry['reason']}: {entry.get('message', '')}"
