"""`learnops db`: the schema of the run log."""

import argparse
import os
import sys
from typing import Any

URL_VARIABLE = "LEARNOPS_DATABASE_URL"


def add_parser(subparsers: Any) -> None:
    """Add `db upgrade`."""
    parser = subparsers.add_parser("db", help="the run log's schema")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    upgrade = commands.add_parser(
        "upgrade", help=f"bring the database of {URL_VARIABLE} to this version's schema"
    )
    upgrade.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Upgrade; the exit code."""
    url = os.environ.get(URL_VARIABLE)
    if not url:
        print(f"learnops db: set {URL_VARIABLE} to the URL of Postgres", file=sys.stderr)
        return 2
    # Heavy imports only now: `learnops --help` must be quick.
    import psycopg

    from learnops.adapters.postgres.migrate import upgrade
    from learnops.adapters.postgres.schema import SchemaMismatchError

    try:
        revision = upgrade(url)
    except SchemaMismatchError as error:
        print(f"learnops db: refused: {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        print(f"learnops db: no database there: {str(error).strip()}", file=sys.stderr)
        return 1
    print(f"the schema is at {revision}")
    return 0
