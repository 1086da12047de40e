"""`learnops api`: the HTTP API as a process."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from learnops.cli.environment import (
    DATABASE_URL,
    LEASE_NAMESPACE,
    NAMESPACES,
    add_cluster,
    database_url,
    listed,
    own_namespace,
)
from learnops.cli.loading import loading
from learnops.cli.retention import VARIABLE, RetentionError, told_keep_days

if TYPE_CHECKING:
    from learnops.cli.api_process import ApiSettings

_EXAMPLES = f"""
The database is given by the environment variable {DATABASE_URL} alone: a URL holds a password.
Agents are known by tokens of their service accounts, which Kubernetes confirms. LEARNOPS_DEV_TOKEN,
a secret of 16 characters or more that may do everything, replaces that for development and is
refused in a pod.

examples:
  # in a cluster, behind a Service
  learnops api --host 0.0.0.0
  # on a laptop, against the cluster of a kubeconfig, where the operator runs in learnops-system
  learnops api --kubeconfig ~/.kube/config --lease-namespace learnops-system --port 8090

exit code: 0 it was told to stop, 1 a bug ended it (its log says which), 2 an argument or the
environment is wrong
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "api",
        help="serve assignments, runs, snapshots and metrics",
        description="Serve assignments, runs, snapshots and metrics over HTTP.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=int, default=8080, help="port to listen on (8080)")
    add_cluster(parser)
    add(
        "--audience",
        type=_audience,
        default=os.environ.get("LEARNOPS_AUDIENCE") or "learnops",
        help="audience that agents' tokens must be issued for ($LEARNOPS_AUDIENCE; learnops)",
    )
    add(
        "--access-seconds",
        type=_access_seconds,
        default=60.0,
        help="how long a token and a right are good once Kubernetes has confirmed them; a refusal "
        "is asked again after a sixth of it (60)",
    )
    where = f"where the operator's Lease is (${LEASE_NAMESPACE}; that of the pod, default in none)"
    add("--lease-namespace", default=own_namespace(), help=where)
    add("--lease-name", default="learnops-operator", help="its name (learnops-operator)")
    add(
        "--ttl-seconds",
        type=_seconds,
        default=300.0,
        help="new units get control so long after the operator's last heartbeat; 0: never (300)",
    )
    add(
        "--keep",
        action="append",
        metavar="TABLE=DAYSd",
        default=[],
        help=f"as of `learnops db retention`, done every hour (${VARIABLE})",
    )
    add(
        "--keep-series-seconds",
        type=_keep_seconds,
        default=600.0,
        help="how long the metrics of an archived policy and of an ended rollout stay: longer than "
        "the operator's tick and Prometheus' scrape interval (600)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; the exit code. 2: the environment is wrong."""
    url = database_url(command="api")
    if url is None:
        return 2
    # Heavy imports only now: `learnops --help` must be quick.
    with loading():
        import logging

        import uvloop

        from learnops.adapters.kube.connection import NoClusterError
        from learnops.cli.api_process import serve
        from learnops.server.auth import AuthSetupError, development_token
        from learnops.server.discretion import DiscreetFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(DiscreetFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # The pool warns of every attempt, several a second; who needs the database says so once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    try:
        uvloop.run(serve(_settings(arguments, url=url), by=development_token()))
    except (AuthSetupError, NoClusterError, RetentionError) as error:
        print(f"learnops api: {error}", file=sys.stderr)
        return 2
    return 0


def _settings(arguments: argparse.Namespace, *, url: str) -> "ApiSettings":
    from learnops.cli.api_process import ApiSettings

    return ApiSettings(
        database_url=url,
        host=arguments.host,
        port=arguments.port,
        kubeconfig=arguments.kubeconfig,
        namespaces=listed(arguments.namespaces, NAMESPACES),
        lease_namespace=arguments.lease_namespace,
        lease_name=arguments.lease_name,
        ttl_seconds=arguments.ttl_seconds or None,
        audience=arguments.audience,
        access_seconds=arguments.access_seconds,
        keep_days=told_keep_days(arguments.keep),
        keep_series_seconds=arguments.keep_series_seconds,
    )


def _audience(text: str) -> str:
    if not text or not text.isprintable() or len(text) > 256:
        raise argparse.ArgumentTypeError("use 1 to 256 printable characters, such as learnops")
    return text


def _access_seconds(text: str) -> float:
    value = _seconds(text)
    if not 1 <= value <= 600:
        raise argparse.ArgumentTypeError("use 1 to 600")
    return value


def _keep_seconds(text: str) -> float:
    value = _seconds(text)
    if value < 1:
        raise argparse.ArgumentTypeError("use 1 to 86400")
    return value


def _seconds(text: str) -> float:
    message = f"{text!r:.40} is no such number of seconds: use 0 to 86400"
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(message)
    return value
