"""`learnops policy`: which policy is active, which there are, and a new one."""

import argparse
import json
import sys
from pathlib import Path
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
from learnops.cli.cluster.tables import table

_HEADINGS = ("POLICY", "DOER", "VERSION", "STAGE", "PARENT", "DIGEST")
_EXAMPLES = """
examples:
  # which policy do the runs of planner get?
  kubectl learnops policy active planner
  # all versions of planner, the stage of each
  kubectl learnops policy list planner -n agents
  # is this content well-formed? Nothing is stored
  kubectl learnops policy create planner-v3 --doer planner --version 3.0.0 --from v3.yaml \\
    --parent planner-v2 --dry-run=server

exit code: 0, 1 where the API server refuses or knows no such object, 2 a wrong argument or file
"""
_CREATE = """
FILE is YAML: the content of a policy, or a whole Policy, whose name, doer, version and parent the
flags replace. A policy never changes once it is created, and is given runs by a rollout alone
(but for a doer's first one): `kubectl learnops promote NAME` starts that.

  prompts:
    variants:
    - name: base
      system: You plan in three steps.
  hparams: {temperature: "0.2"}

examples:
  kubectl learnops policy create planner-v3 --doer planner --version 3.0.0 --from v3.yaml
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its own."""
    parser = subparsers.add_parser(
        "policy",
        help="the active policy of a doer, all of them, a new one",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    active = commands.add_parser("active", help="the policy that a doer's runs get")
    active.add_argument("doer", metavar="DOER", type=object_name)
    add_flags(active)
    active.set_defaults(run=run_active)
    listed = commands.add_parser("list", help="policies and their stages")
    listed.add_argument("doer", metavar="DOER", nargs="?", type=object_name)
    add_flags(listed)
    listed.set_defaults(run=run_list)
    _add_create(commands)


def _add_create(commands: Any) -> None:
    create = commands.add_parser(
        "create",
        help="a new version",
        epilog=_CREATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = create.add_argument
    add("name", metavar="NAME", type=object_name, help="of the new Policy")
    add("--doer", required=True, type=object_name, help="whose policy it is")
    add("--from", required=True, type=Path, dest="file", metavar="FILE", help="YAML: the content")
    add("--version", help="semantic, e.g. 3.0.0 (that of FILE)")
    add("--parent", type=object_name, help="the policy it was made from (that of FILE)")
    add_dry_run(create)
    add_flags(create)
    create.set_defaults(run=run_create)


def run_active(arguments: argparse.Namespace) -> int:
    """Print the active policy; the exit code."""

    async def work(cluster: Cluster) -> int:
        doer = await cluster.get("Doer", arguments.doer)
        active = doer.get("status", {}).get("activePolicy")
        if active is None:
            why = states.state(doer, None)["waitingFor"] or "the operator has not looked at it yet"
            raise CommandError(f"doer {arguments.doer} has no active policy: {why}")
        _print([await cluster.get("Policy", active)], one=True, output=arguments.output)
        return 0

    return run_with(arguments, work, command="policy active")


def run_list(arguments: argparse.Namespace) -> int:
    """Print all policies; the exit code."""

    async def work(cluster: Cluster) -> int:
        if arguments.doer:
            await cluster.get("Doer", arguments.doer)  # a wrong name is an error, not an empty list
        found = [
            it
            for it in await cluster.items("Policy")
            if arguments.doer in (None, it["spec"]["doerRef"]["name"])
        ]
        _print(found, one=False, output=arguments.output)
        return 0

    return run_with(arguments, work, command="policy list")


def run_create(arguments: argparse.Namespace) -> int:
    """Create; the exit code."""
    from learnops.cli.inputs import InputError

    try:
        manifest = _manifest(arguments)
    except InputError as error:
        print(f"learnops policy create: {error}", file=sys.stderr)
        return 2

    async def work(cluster: Cluster) -> int:
        await cluster.get("Doer", arguments.doer)
        found = await cluster.create("Policy", manifest, dry_run=arguments.dry_run)
        if arguments.output == "json":
            print(json.dumps(found, indent=2))
        elif arguments.dry_run == "server":
            print(f"policy {arguments.name} can be created (dry run)")
        else:
            print(f"policy {arguments.name} created; `learnops promote {arguments.name}` rolls out")
        return 0

    return run_with(arguments, work, command="policy create")


def _manifest(arguments: argparse.Namespace) -> Json:
    """The Policy to create. Raises InputError where FILE is none, or has no version."""
    from learnops.cli.inputs import InputError, document

    found = document(arguments.file, kind="Policy")
    told = found.get("spec") if "kind" in found or "spec" in found else found
    if not isinstance(told, dict):
        raise InputError(f"{arguments.file}: spec: must be the content of a policy")
    spec = dict(told)
    _check_json(arguments.file, spec)
    spec["doerRef"] = {"name": arguments.doer}
    if arguments.version is not None:
        spec["version"] = arguments.version
    if arguments.parent is not None:
        spec["parentRef"] = {"name": arguments.parent}
    if "version" not in spec:
        raise InputError(f"{arguments.file}: version: must be there, or be given with --version")
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {"name": arguments.name},
        "spec": spec,
    }


def _check_json(path: Path, spec: Json) -> None:
    """YAML knows more than can travel. Raises InputError naming the field."""
    from learnops.cli.inputs import InputError

    for name, value in spec.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:  # bytes, a set; a number that is none; a circle
            raise InputError(f"{path}: {name!s:.80}: must be JSON: {error}") from error


def _print(found: list[Json], *, one: bool, output: str) -> None:
    told = [_told(it) for it in found]
    if output == "json":
        print(json.dumps(told[0] if one else told, indent=2))
        return
    rows = [[it[name.lower()] for name in _HEADINGS[:-1]] + [_short(it["digest"])] for it in told]
    print(table(_HEADINGS, rows))


def _told(policy: Json) -> Json:
    spec, status = policy["spec"], policy.get("status", {})
    return {
        "policy": states.name_of(policy),
        "namespace": policy["metadata"]["namespace"],
        "doer": spec["doerRef"]["name"],
        "version": spec["version"],
        "stage": status.get("stage"),
        "parent": (spec.get("parentRef") or {}).get("name"),
        "digest": status.get("digest"),
        "content": {
            name: it for name, it in spec.items() if name not in ("doerRef", "version", "parentRef")
        },
    }


def _short(digest: str | None) -> str | None:
    """Enough to tell two apart."""
    return None if digest is None else digest[:15]
