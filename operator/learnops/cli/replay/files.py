"""A replay of runs in a file."""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TextIO

from learnops.cli.inputs import InputError, opened
from learnops.cli.replay import bundles, evaluated
from learnops.cli.replay.report import Progress, Report
from learnops.cli.replay.target import Target

_MAX_LINE = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A file whose first line was looked at."""

    head: str
    rest: TextIO

    def __iter__(self) -> Iterator[str]:
        return chain((self.head,), self.rest)


def replay(arguments: Namespace, target: Target, *, tell: Progress) -> Report:
    """Of bundles, or of a log with losses and terms: the first line tells which.

    Raises:
        InputError: a file or a line that is not what it must be.
    """
    with opened(arguments.runs) as source:
        lines = Lines(head=_first(source), rest=source)
        if bundles.is_one(lines.head):
            if arguments.scored_by is None:
                raise InputError("--scored-by: must name the Doer by which bundles were scored")
            if arguments.canaries is not None:
                raise InputError(
                    "--canaries: must go with a log that has propensities; a bundle "
                    "tells not in which order runs were registered"
                )
            if arguments.control is not None:
                raise InputError("--control: must go with a log of arms; a bundle names its policy")
            return bundles.replay(lines, target, scored_by=arguments.scored_by, tell=tell)
        if arguments.scored_by is not None:
            raise InputError("--scored-by: must go with bundles; this log has its losses")
        return evaluated.replay(
            lines, target, canaries=arguments.canaries, control=arguments.control, tell=tell
        )


def _first(source: TextIO) -> str:
    line = source.readline(_MAX_LINE)
    while line and not line.strip():
        line = source.readline(_MAX_LINE)
    if not line:
        raise InputError("the log is empty: give one run a line")
    return line
