"""What `make demo-keep` leaves for another terminal: the environment of a user, and what to try."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from testbed.product import Product
from testbed.stack import Stack

FILE_NAME = "env.sh"


def environment(
    stack: Stack, product: Product, *, namespace: str, programs: Path
) -> dict[str, str]:
    """What the how-tos take for granted; `programs` has learnops and kubectl."""
    return {
        "PATH": f"{programs}{os.pathsep}$PATH",
        "KUBECONFIG": str(stack.plane.kubeconfig),
        "LEARNOPS_API": product.api.url,
        "LEARNOPS_TOKEN": product.token,
        "LEARNOPS_NAMESPACE": namespace,
        "LEARNOPS_DATABASE_URL": product.database_url,
        "LEARNOPS_SPOOL": str(stack.work.path / "spool"),
    }


def write(file: Path, variables: Mapping[str, str]) -> Path:
    """A file for `source`; only its user may read it, as it has the token."""
    lines = (f"export {name}={_quoted(value)}" for name, value in variables.items())
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    return file


def text(file: Path, *, stack: Stack, product: Product, namespace: str) -> str:
    """What is printed."""
    return f"""
Everything is still running. In another terminal:

  source {file}
  learnops get -n {namespace}
  kubectl describe doer planner -n {namespace}
  learnops promote planner-v1 -n {namespace}     # back to what was before, at once

docs/tutorial.md goes on from here with an agent of your own.

  api         {product.api.url}/health
  operator    {product.operator.url}/metrics
  Prometheus  {stack.prometheus.url}/api/v1/query?query=learnops_canary_weight
  logs        {stack.work.logs}

Ctrl-C here stops all of it, and removes its files."""


def _quoted(value: str) -> str:
    """For a shell; $PATH alone is the shell's."""
    name = "$PATH"
    if value.endswith(name):
        return shlex.quote(value.removesuffix(name)) + '"$PATH"'
    return shlex.quote(value)
