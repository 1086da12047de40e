"""`learnops`: one command, a module per subcommand.

Each module has `add_parser(subparsers)` and sets `run`, a function from the arguments to the exit
code. It imports what is heavy inside `run`, so that `learnops --help` is quick.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

COMMANDS = (
    *("operator", "api", "db", "run", "simulate", "evaluate", "plan", "crl", "signal"),
    *("get", "watch", "promote", "policy", "canary", "shadow"),
)
# The extra of pyproject.toml that has what a command imports; empty: it needs none.
EXTRAS = dict.fromkeys(COMMANDS, "cli") | {"operator": "operator", "api": "api"}
EXTRAS |= {"run": "", "signal": ""}

_INTERRUPTED = 130
_PIPE_CLOSED = 141
# Errors of what is open already: a file that cannot be opened has its name in the error.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code. 2: the arguments or the environment are wrong."""
    _open_streams()
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        code = _lost_output(error)
        if code is None:
            raise
        return code


def _run(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="learnops",
        description="Let AI agents improve from their own runs, safely.",
    )
    parser.add_argument("--version", action="version", version=f"learnops {version('learnops')}")
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="subcommand", required=True
    )
    for name in COMMANDS:
        import_module(f"learnops.cli.{name}").add_parser(subparsers)
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit:  # --help
        sys.stdout.flush()
        raise
    try:
        code: int = parsed.run(parsed)
    except ModuleNotFoundError as error:
        return _not_installed(error, command=parsed.subcommand)
    sys.stdout.flush()
    return code


def _not_installed(error: ModuleNotFoundError, *, command: str) -> int:
    """Say which extra has it; raises the error where that is of no help."""
    extra = EXTRAS[command]
    if not extra or (error.name or "").partition(".")[0] in ("", "learnops"):
        raise error
    told = f"needs `pip install 'learnops[{extra}]'`: there is no module {error.name}"
    print(f"learnops {command}: {told}", file=sys.stderr)
    return 2


def _open_streams() -> None:
    """Output that the caller has closed goes nowhere: Python has None there, which has no methods,
    and which `print` takes for the other stream."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)


def _lost_output(error: OSError) -> int | None:
    """The exit code where the output was not taken; None: the error is of something else."""
    closed = isinstance(error, BrokenPipeError)
    if not closed and (error.errno not in _UNWRITABLE or error.filename is not None):
        return None
    # Python would complain again at its end, when it flushes.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if closed:  # whoever read our output has enough (`| head`)
        return _PIPE_CLOSED
    print(f"learnops: the output cannot be written: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
