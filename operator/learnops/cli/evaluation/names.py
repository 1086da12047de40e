"""Columns of a log by their names: what is missing, misspelt, or not read at all."""

import sys
from collections.abc import Iterable, Mapping, Sequence

from learnops.cli.evaluation.errors import bad_line

CANARY = "canary"
TERM = "terms."
"""Prefix of a term's column in CSV."""

_ALWAYS = (CANARY, "arm", "propensity", "loss")


def check_header(header: Sequence[str], *, needed: Sequence[str], optional: Sequence[str]) -> None:
    """Check the first line of CSV, and name on standard error the columns that nothing reads.

    Raises:
        EvaluationError: a column is missing, twice there, or all but the name of one that is read.
    """
    refuse_alike(dict.fromkeys(header, 1), known=[*needed, *optional])
    missing = [name for name in needed if name not in header]
    if missing:
        raise bad_line(1, missing[0], f"no such column; the header is {','.join(header):.200}")
    if len(set(header)) < len(header):
        raise bad_line(1, "header", "has a column twice")
    unread = [it for it in header if it not in {*_ALWAYS, *needed, *optional}]
    if unread:
        print(f"learnops: columns that are not read: {', '.join(unread):.200}", file=sys.stderr)


def refuse_alike(lines: Mapping[str, int], *, known: Iterable[str]) -> None:
    """Raises EvaluationError for a name that differs from one that is read in case or blanks alone.

    Were it left aside as unknown, the runs of all canaries would be judged as those of one.

    Args:
        lines: each name, and the line that it is in.
    """
    read = {_plain(name): name for name in (*known, *_ALWAYS)}
    for name, line in lines.items():
        meant = read.get(_plain(name), name)
        if name != meant:
            raise bad_line(line, f"{name!r:.80}", f"must be written {meant}")


def _plain(name: str) -> str:
    """A name without its case, and without whatever does not show."""
    return "".join(it for it in name.casefold() if it.isprintable() and not it.isspace())
