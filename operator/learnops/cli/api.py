"""`learnops api`: the HTTP API as a process."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from learnops.cli.db import URL_VARIABLE
from learnops.server.auth import AuthSetupError, authenticator
from learnops.server.run import ApiSettings, serve

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: "Subparsers") -> None:
    """Add `api` with its flags; each can be given by an environment variable as well."""
    parser = subparsers.add_parser("api", help="serve runs, assignments, snapshots, metrics")
    parser.add_argument("--host", default=os.environ.get("LEARNOPS_API_HOST", "127.0.0.1"))
    port = int(os.environ.get("LEARNOPS_API_PORT", "8080"))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=_path(os.environ.get("KUBECONFIG")),
        help="default: KUBECONFIG, else the pod's service account",
    )
    parser.add_argument(
        "--namespace", default=None, help="watch this namespace alone; default: all"
    )
    parser.add_argument("--lease-namespace", default=ApiSettings.lease_namespace)
    parser.add_argument("--lease-name", default=ApiSettings.lease_name)
    parser.add_argument(
        "--ttl-seconds",
        type=float,
        default=ApiSettings.ttl_seconds,
        help="dead-man switch: new units get control this long after the operator's last "
        "heartbeat; 0 turns it off (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    url = os.environ.get(URL_VARIABLE)
    if not url:
        print(f"set {URL_VARIABLE} to the database's URL (postgresql://…)", file=sys.stderr)
        return 2
    try:
        by = authenticator()
    except AuthSetupError as error:
        print(error, file=sys.stderr)
        return 2
    settings = ApiSettings(
        database_url=url,
        host=args.host,
        port=args.port,
        kubeconfig=args.kubeconfig,
        namespace=args.namespace,
        lease_namespace=args.lease_namespace,
        lease_name=args.lease_name,
        ttl_seconds=args.ttl_seconds or None,
    )
    uvloop.run(serve(settings, by=by))
    return 0


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
