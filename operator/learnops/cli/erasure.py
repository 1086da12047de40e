"""`learnops db erase-tenant`: redact what is stored of a tenant."""

import argparse
import asyncio
import getpass
import json
import os
import sys
from typing import Any

from learnops.cli.database import opened, report
from learnops.cli.environment import database_url

_EPILOG = """\
Bundles, session ids and the tenant's name go; arm, propensity and loss of each run stay, so no
decision changes. Ids of units of a rollout that goes on, and bundles that arrive within 30 days,
are erased by the next `learnops db retention`. It may be repeated; each request is a row of
tenant_erasures. It cannot be undone.
"""


def add_parser(commands: Any) -> None:
    """Add `db erase-tenant`."""
    parser = commands.add_parser(
        "erase-tenant",
        help="redact what is stored of a tenant",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("namespace", metavar="NAMESPACE", help="the tenant's runs are here")
    parser.add_argument("tenant", metavar="TENANT", help="its name as runs report it")
    parser.add_argument("--by", help="who asked for it, for the record (the user who calls)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Erase; the exit code. 2: the arguments or the environment are wrong."""
    url = database_url(command="db")
    if url is None:
        return 2
    for name in ("namespace", "tenant"):
        if not 1 <= len(getattr(arguments, name)) <= 253:
            print(
                f"learnops db erase-tenant: {name} must have 1 to 253 characters", file=sys.stderr
            )
            return 2
    return report(lambda: asyncio.run(_erase(url, arguments)))


async def _erase(url: str, arguments: argparse.Namespace) -> int:
    from learnops.adapters.postgres.erasure import erase_tenant

    async with opened(url) as pool:
        done = await erase_tenant(
            pool,
            namespace=arguments.namespace,
            tenant=arguments.tenant,
            by=(arguments.by or _caller())[:253],
        )
    if arguments.output == "json":
        told = {"id": str(done.erasure), "namespace": done.namespace, "runs": done.runs}
        print(json.dumps(told | {"units": done.units, "waiting": done.waiting}))
        return 0
    print(f"{done.runs:,} runs and {done.units:,} units erased, on record as {done.erasure}")
    if done.waiting:
        print(f"{done.waiting:,} units of live rollouts are erased when these have ended")
    return 0


def _caller() -> str:
    """The user's name; in a pod its uid may have none, and no name may stop an erasure."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter since Python 3.13
        return f"uid {os.getuid()}"
