"""`learnops`: one command, a module per subcommand.

Each module has `add_parser(subparsers)` and sets `run`, a function from the arguments to the exit
code. It imports what is heavy inside `run`, so that `learnops --help` is quick.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

COMMANDS = (
    *("operator", "api", "db", "run", "simulate", "evaluate", "plan", "crl", "signal"),
    *("get", "watch", "promote", "policy", "canary", "shadow"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code. 2: the arguments or the environment are wrong."""
    parser = argparse.ArgumentParser(
        prog="learnops",
        description="Let AI agents improve from their own runs, safely.",
    )
    parser.add_argument("--version", action="version", version=f"learnops {version('learnops')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"learnops.cli.{name}").add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


if __name__ == "__main__":
    sys.exit(main())
