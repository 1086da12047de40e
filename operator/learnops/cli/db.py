"""`learnops db`: the schema of the run log."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

import psycopg

from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.schema import SchemaMismatchError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

URL_VARIABLE = "LEARNOPS_DATABASE_URL"


def add_parser(subparsers: "Subparsers") -> None:
    """Add `db upgrade`."""
    parser = subparsers.add_parser("db", help="the run log's schema")
    commands = parser.add_subparsers(dest="db_command", required=True)
    commands.add_parser("upgrade", help=f"bring the database of {URL_VARIABLE} to this version")
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace) -> int:
    """Upgrade; the exit code."""
    url = os.environ.get(URL_VARIABLE)
    if not url:
        print(f"set {URL_VARIABLE} to the database's URL (postgresql://…)", file=sys.stderr)
        return 2
    try:
        revision = upgrade(url)
    except SchemaMismatchError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        print(f"no database there: {error}", file=sys.stderr)
        return 1
    print(f"the schema is at {revision}")
    return 0
