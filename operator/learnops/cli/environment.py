"""What the api, the operator and `learnops db` take from flags and from the environment alike."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

DATABASE_URL: Final = "LEARNOPS_DATABASE_URL"
NAMESPACES: Final = "LEARNOPS_NAMESPACES"
LEASE_NAMESPACE: Final = "LEARNOPS_LEASE_NAMESPACE"
_IN_CLUSTER_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def database_url(*, command: str) -> str | None:
    """The URL of Postgres; None, and a line on standard error, where there is none.

    It has no flag: a URL holds a password. One that cannot be read is not repeated for that reason.
    """
    # Only now: `learnops --help` must be quick.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    url = os.environ.get(DATABASE_URL)
    if not url:
        print(f"learnops {command}: set {DATABASE_URL} to the URL of Postgres", file=sys.stderr)
        return None
    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        told = f"{DATABASE_URL} cannot be read: use postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        print(f"learnops {command}: {told}", file=sys.stderr)
        return None
    return url


def listed(flag: Sequence[str] | None, variable: str) -> tuple[str, ...]:
    """The values of a flag that may be given again; of the variable, by comma, where it was not.

    The flag's default must be None: argparse appends to a default, which flags are to replace.
    """
    if flag:
        return tuple(flag)
    names = os.environ.get(variable, "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def own_namespace() -> str:
    """Where the Lease is, unless a flag tells: the namespace of the pod, `default` in none."""
    told = os.environ.get(LEASE_NAMESPACE, "")
    if not told and _IN_CLUSTER_NAMESPACE.exists():
        told = _IN_CLUSTER_NAMESPACE.read_text().strip()
    return told or "default"


def add_cluster(parser: ArgumentParser) -> None:
    """Add the flags for the API server and for what is watched on it."""
    kubeconfig = os.environ.get("KUBECONFIG")
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=Path(kubeconfig) if kubeconfig else None,
        help="kubeconfig file ($KUBECONFIG); without one, the pod's service account",
    )
    parser.add_argument(
        "--namespace",
        action="append",
        dest="namespaces",
        metavar="NAME",
        help=f"watch only this namespace; may be given again (${NAMESPACES}, by comma)",
    )
