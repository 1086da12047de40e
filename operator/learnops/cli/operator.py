"""`learnops operator`: its flags and its environment."""

import argparse
import asyncio
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

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
from learnops.cli.operator_settings import FEATURES, OperatorSettings

_DISABLE = "LEARNOPS_DISABLE"
_EXAMPLES = f"""
The database is given by the environment variable {DATABASE_URL} alone: a URL holds a password.

examples:
  # in a cluster, everything from the environment
  learnops operator
  # on a laptop, two namespaces, evidence every second
  learnops operator --kubeconfig ~/.kube/config --namespace agents --namespace tests \\
      --prometheus-url http://127.0.0.1:9090 --tick-seconds 1
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "operator",
        help="reconcile Doers, Policies and CanaryDeployments",
        description="Reconcile Doers, Policies and CanaryDeployments.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_connections(parser)
    _add_lease(parser)
    add = parser.add_argument
    add("--tick-seconds", type=_positive, default=10.0, help="how often evidence is read (10)")
    add("--workers", type=_count, default=8, help="doers worked on at the same time (8)")
    add("--probe-host", default="127.0.0.1", help="address of /livez, /readyz and /metrics")
    add("--probe-port", type=int, default=8081, help="their port; 0: a free one, logged (8081)")
    formats, levels = ("auto", "json", "text"), ("debug", "info", "warning", "error")
    add("--log-format", choices=formats, default="auto", help="auto: text on a terminal, else json")
    add("--log-level", choices=levels, default="info", help="what is less is left out (info)")
    _add_features(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the operator until it is told to stop; the exit code."""
    disabled = listed(arguments.disabled, _DISABLE)
    unknown = sorted(set(disabled) - set(FEATURES))
    if unknown:
        told = f"{unknown[0]!r:.80} is no feature; {_DISABLE} must be of {', '.join(FEATURES)}"
        print(f"learnops operator: {told}", file=sys.stderr)
        return 2
    url = database_url(command="operator")
    if url is None:
        return 2
    # Heavy imports only now: `learnops --help` must be quick.
    with loading():
        from learnops.adapters.kube.connection import NoClusterError
        from learnops.cli import logs
        from learnops.cli.operator_process import run_operator

    logs.configure(style=arguments.log_format, level=arguments.log_level)
    try:
        return asyncio.run(run_operator(_settings(arguments, url=url)))
    except NoClusterError as error:
        print(f"learnops operator: {error}", file=sys.stderr)
        return 2


def _settings(arguments: argparse.Namespace, *, url: str) -> OperatorSettings:
    told = vars(arguments)
    kept = {name: told[name] for name in OperatorSettings.__dataclass_fields__ if name in told}
    kept["disabled"] = frozenset(listed(arguments.disabled, _DISABLE))
    kept["namespaces"] = listed(arguments.namespaces, NAMESPACES)
    return OperatorSettings(database_url=url, **kept)


def _add_connections(parser: argparse.ArgumentParser) -> None:
    environment = os.environ
    add_cluster(parser)
    parser.add_argument(
        "--prometheus-url",
        default=environment.get("LEARNOPS_PROMETHEUS_URL"),
        help="Prometheus, for canaries with source Prometheus and guardrails on queries "
        "($LEARNOPS_PROMETHEUS_URL)",
    )
    token_file = environment.get("LEARNOPS_PROMETHEUS_TOKEN_FILE")
    parser.add_argument(
        "--prometheus-token-file",
        type=Path,
        default=Path(token_file) if token_file else None,
        help="bearer token of Prometheus, read anew for each question "
        "($LEARNOPS_PROMETHEUS_TOKEN_FILE)",
    )


def _add_lease(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    where = f"where the Lease is (${LEASE_NAMESPACE}; that of the pod, default in none)"
    add("--lease-namespace", default=own_namespace(), help=where)
    add("--lease-name", default="learnops-operator", help="its name (learnops-operator)")
    add("--lease-seconds", type=_count, default=15, help="how long one renewal holds (15)")
    add("--identity", default=_identity(), help="name of this instance (host and a random part)")


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--disable",
        action="append",
        dest="disabled",
        choices=FEATURES,
        help="canaries: no candidate gets a share or a larger one, nothing is promoted; what is "
        f"shown worse is still rolled back (${_DISABLE}, by comma)",
    )


def _identity() -> str:
    # Random: a process that is started again on the same host is another holder.
    return f"{socket.gethostname()}-{secrets.token_hex(4)}"


def _positive(text: str) -> float:
    message = f"{text!r:.40} is not a number of seconds between 0.1 and 3600"
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(message)
    return value


def _count(text: str) -> int:
    message = f"{text!r:.40} is not a whole number between 1 and 1000"
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(message)
    return value
