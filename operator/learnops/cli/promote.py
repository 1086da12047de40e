"""`learnops promote`: have a policy prove itself, and with that become active."""

import argparse
import json
from typing import Any

from learnops.cli.cluster import states
from learnops.cli.cluster.candidates import candidate
from learnops.cli.cluster.owners import refuse_managed
from learnops.cli.cluster.session import (
    Cluster,
    CommandError,
    Json,
    add_dry_run,
    add_flags,
    object_name,
    run_with,
)

_EXAMPLES = """
Sets spec.policyRef of the policy's doer, as a merge in git would. That starts the doer's rollout
(spec.rollout), and the evidence promotes: no gate is skipped, by nobody. The policy that was active
before is the exception: it has been proved, and gets all runs back at once, unless
spec.rollout.revert is Canary.

examples:
  # roll planner-v2 out, then see how it goes
  kubectl learnops promote planner-v2 -n agents && kubectl learnops watch planner -n agents
  # back to the one before
  kubectl learnops promote planner-v1
  # only ask whether it would be done
  kubectl learnops promote planner-v2 --dry-run=server

exit code: 0 (also where it is active already), 1 refused: the reason is told, 2 a wrong argument
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "promote",
        help="roll a policy out: the evidence promotes it",
        description="Start the rollout of a policy.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", metavar="POLICY", type=object_name, help="name of the Policy")
    add_dry_run(parser)
    add_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set policyRef; the exit code."""

    async def work(cluster: Cluster) -> int:
        name = arguments.policy
        policy = await cluster.get("Policy", name)
        doer = await cluster.get("Doer", policy["spec"]["doerRef"]["name"])
        canaries = await cluster.items("CanaryDeployment")
        if _is_done(doer, name):
            print(f"policy {name} is active already; nothing was changed")
            return 0
        refuse_managed(doer, change=f"set spec.policyRef to {name}")
        await candidate(cluster, name, doer=doer)
        _refuse_no_change(doer, name, canaries)
        found = await cluster.merge(
            "Doer",
            states.name_of(doer),
            {"spec": {"policyRef": {"name": name}}},
            dry_run=arguments.dry_run,
        )
        if arguments.output == "json":
            print(json.dumps(found, indent=2))
        else:
            print(_told(doer, name, canaries, dry_run=arguments.dry_run == "server"))
        return 0

    return run_with(arguments, work, command="promote")


def _is_done(doer: Json, name: str) -> bool:
    return bool(doer.get("status", {}).get("activePolicy") == name == _wanted(doer))


def _refuse_no_change(doer: Json, name: str, canaries: list[Json]) -> None:
    """Only a change of policyRef starts anything; say what stands instead. Raises CommandError."""
    if _wanted(doer) != name:
        return
    doer_name = states.name_of(doer)
    live = [it for it in states.live_of(doer_name, canaries) if name in states.candidates_of(it)]
    if live:
        waiting = live[0].get("status", {}).get("waitingFor") or "its turn"
        raise CommandError(
            f"canary {states.name_of(live[0])} of {name} is under way, and only its evidence "
            f"promotes. It waits for {waiting}"
        )
    if doer.get("status", {}).get("handledPolicyRef") != name:
        raise CommandError(
            f"doer {doer_name} names {name} already, and the operator has not acted on it yet: "
            f"see `learnops watch {doer_name}`"
        )
    last = states.last_of(name, canaries)
    if last is None:
        raise CommandError(
            f"doer {doer_name} names {name} already, and another policy was promoted since: "
            f"`learnops canary start {doer_name} --candidate {name}` tries it again"
        )
    raise CommandError(
        f"doer {doer_name} names {name} already, and its canary {states.name_of(last)} ended "
        f"{states.stage_of(last)}: `learnops canary retry {states.name_of(last)}` tries it again"
    )


def _wanted(doer: Json) -> str:
    return str(doer["spec"]["policyRef"]["name"])


def _told(doer: Json, name: str, canaries: list[Json], *, dry_run: bool) -> str:
    """What was done, and what follows from it."""
    doer_name = states.name_of(doer)
    done = "would turn" if dry_run else "turned"
    first = f"doer {doer_name} {done} from {_wanted(doer)} to {name}"
    status, rollout = doer.get("status", {}), doer["spec"].get("rollout", {})
    if name == status.get("activePolicy"):
        live = states.live_of(doer_name, canaries)
        ends = any(_wanted(doer) in states.candidates_of(it) for it in live)
        what = f": the rollout of {_wanted(doer)} ends" if ends else ""
        return f"{first}, which is active already{what}"
    if not status.get("activePolicy"):
        return f"{first}: its first policy, active at once"
    if name == status.get("previousPolicy") and rollout.get("revert", "Immediate") == "Immediate":
        return f"{first}: it was active before {status['activePolicy']} and gets all runs at once"
    strategy = rollout.get("strategy", {})
    steps = ", ".join(str(it) for it in strategy.get("canary", {}).get("steps", ()))
    pairs = strategy.get("shadow", {}).get("minRuns")
    shadow = f"{pairs} pairs in shadow, then " if pairs else ""
    return f"{first}: {shadow}steps of {steps} %; see `learnops watch {doer_name}`"
