"""`learnops db`: the schema of the run log, what expires in it, and who is erased from it."""

import argparse
from typing import Any

from learnops.cli import erasure, retention
from learnops.cli.database import report
from learnops.cli.environment import DATABASE_URL, database_url


def add_parser(subparsers: Any) -> None:
    """Add `db upgrade`, `db retention` and `db erase-tenant`."""
    parser = subparsers.add_parser("db", help="the run log: schema, retention, erasure")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    upgrade = commands.add_parser(
        "upgrade", help=f"bring the database of {DATABASE_URL} to this version's schema"
    )
    upgrade.set_defaults(run=run)
    retention.add_parser(commands)
    erasure.add_parser(commands)


def run(_arguments: argparse.Namespace) -> int:
    """Upgrade; the exit code."""
    url = database_url(command="db")
    if url is None:
        return 2
    return report(lambda: _upgrade(url))


def _upgrade(url: str) -> int:
    # Heavy imports only now: `learnops --help` must be quick.
    from learnops.adapters.postgres.migrate import upgrade

    print(f"the schema is at {upgrade(url)}")
    return 0
