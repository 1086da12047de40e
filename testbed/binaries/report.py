"""Where progress lines go."""

import sys
from collections.abc import Callable

Report = Callable[[str], None]


def to_stderr(line: str) -> None:
    """The default place for progress: standard error, at once."""
    print(f"testbed: {line}", file=sys.stderr, flush=True)
