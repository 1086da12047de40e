"""`canary start` and `shadow start`: a CanaryDeployment with the doer's own strategy."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from learnops.cli.cluster import states
from learnops.cli.cluster.candidates import candidate, others
from learnops.cli.cluster.session import (
    Cluster,
    CommandError,
    Json,
    add_dry_run,
    add_flags,
    object_name,
    run_with,
)

_CANARY = """
Strategy and analysis are those of the doer's spec.rollout, but for what the flags say. What else
can be set has `kubectl explain canarydeployment.spec`: apply a manifest for it.

examples:
  kubectl learnops canary start planner --candidate planner-v2
  # two at once, each against the active one, with shares of 10 and then 30 %
  kubectl learnops canary start planner --candidate planner-v2 --candidate planner-v3 --steps 10,30
  # made, but no traffic before `kubectl learnops canary resume`
  kubectl learnops canary start planner --candidate planner-v2 --paused

exit code: 0, 1 refused: the reason is told, 2 a wrong argument
"""
_SHADOW = """
First the candidate runs a second time on what runs of the active policy were given; its answers go
to nobody. Shown worse, it is rejected there; else the canary's steps follow.

examples:
  kubectl learnops shadow start planner --candidate planner-v2
  kubectl learnops shadow start planner --candidate planner-v2 --pairs 200 --max-seconds 3600

exit code: 0, 1 refused: the reason is told, 2 a wrong argument
"""


def add_canary(commands: Any) -> None:
    """Add `canary start`."""
    parser = commands.add_parser(
        "start",
        help="try a candidate on a growing share of the runs",
        epilog=_CANARY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(parser)
    parser.set_defaults(run=run_canary)


def add_shadow(commands: Any) -> None:
    """Add `shadow start`."""
    parser = commands.add_parser(
        "start",
        help="a canary that begins in shadow",
        epilog=_SHADOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, help="pairs of runs that pass the stage (50)")
    parser.add_argument("--max-seconds", type=int, help="how long it may take (86400)")
    _add_common(parser)
    parser.set_defaults(run=run_shadow)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("doer", metavar="DOER", type=object_name, help="name of the Doer")
    add(
        "--candidate",
        required=True,
        action="append",
        dest="candidates",
        type=object_name,
        help="a Policy to prove against the active one; may be given again",
    )
    add("--name", type=object_name, help="of the canary (the candidate's and five letters)")
    add("--steps", type=_steps, help="shares in percent, e.g. 5,10,25,50 (those of the doer)")
    add("--paused", action="store_true", help="no traffic before it is resumed")
    add_dry_run(parser)
    add_flags(parser)


def run_canary(arguments: argparse.Namespace) -> int:
    """Create a canary; the exit code."""
    return _run(arguments, changes={}, command="canary start")


def run_shadow(arguments: argparse.Namespace) -> int:
    """Create a canary with a shadow stage; the exit code."""
    told = {"minRuns": arguments.pairs, "maxDurationSeconds": arguments.max_seconds}
    shadow = {name: it for name, it in told.items() if it is not None}
    return _run(arguments, changes={"shadow": shadow}, command="shadow start")


def _run(arguments: argparse.Namespace, *, changes: Mapping[str, Any], command: str) -> int:
    async def work(cluster: Cluster) -> int:
        doer = await cluster.get("Doer", arguments.doer)
        await _check(cluster, doer, arguments.candidates)
        waits_for = await others(cluster, arguments.doer)
        manifest = _manifest(doer, arguments, changes)
        found = await cluster.create("CanaryDeployment", manifest, dry_run=arguments.dry_run)
        if arguments.output == "json":
            print(json.dumps(found, indent=2))
        else:
            print(_told(found, arguments))
        if waits_for and arguments.dry_run == "none":
            print(f"it waits for canary {waits_for[0]}, which goes first", file=sys.stderr)
        return 0

    return run_with(arguments, work, command=command)


async def _check(cluster: Cluster, doer: Json, candidates: list[str]) -> None:
    """Raises CommandError where the canary could not begin."""
    active = doer.get("status", {}).get("activePolicy")
    for name in candidates:
        if name == active:
            raise CommandError(f"policy {name} is active: there is nothing to prove")
        await candidate(cluster, name, doer=doer)


def _manifest(doer: Json, arguments: argparse.Namespace, changes: Mapping[str, Any]) -> Json:
    rollout = doer["spec"].get("rollout", {})
    strategy = {**rollout.get("strategy", {}), **changes}
    if arguments.steps:
        strategy["canary"] = {**strategy.get("canary", {}), "steps": list(arguments.steps)}
    prefix = f"{arguments.candidates[0][:57]}-"
    spec: Json = {
        "doerRef": {"name": arguments.doer},
        "candidateRefs": [{"name": name} for name in arguments.candidates],
        "strategy": strategy,
        "analysis": rollout.get("analysis", {}),
    }
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "CanaryDeployment",
        "metadata": {"name": arguments.name} if arguments.name else {"generateName": prefix},
        "spec": {**spec, "run": "Paused"} if arguments.paused else spec,
    }


def _told(canary: Json, arguments: argparse.Namespace) -> str:
    name, strategy = states.name_of(canary), canary["spec"]["strategy"]
    steps = ", ".join(str(it) for it in strategy["canary"]["steps"])
    shadow = strategy.get("shadow")
    stages = f"{shadow['minRuns']} pairs in shadow, then " if shadow else ""
    done = "can be created (dry run)" if arguments.dry_run == "server" else "created"
    told = f"canary {name} {done}: {stages}steps of {steps} %"
    if arguments.dry_run == "server":
        return told
    following = "canary resume" if arguments.paused else "canary report"
    return f"{told}; see `learnops {following} {name}`"


def _steps(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(it.isascii() and it.isdigit() and len(it) < 3 for it in parts):
        raise argparse.ArgumentTypeError(f"{text!r:.80} must be percentages, e.g. 5,10,25,50")
    return tuple(int(it) for it in parts)
