"""Rows of a run log, from CSV or NDJSON, as raw columns with the line that each came from."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TextIO

from learnops.cli.evaluation.errors import EvaluationError, bad_line
from learnops.cli.evaluation.names import CANARY, check_header, refuse_alike

_CHUNK_LINES = 50_000
_MAX_LINE = 1_000_000  # characters; a run of a log is a hundred


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows: the number of each line in the file, and the columns by name, as they stand there.

    With `text` (CSV) each value is a string; otherwise (NDJSON) it is whatever JSON holds there,
    None where it is missing.
    """

    text: bool
    lines: Sequence[int]
    columns: Mapping[str, Sequence[Any]]


def read(source: TextIO, *, needed: Sequence[str]) -> Iterator[Rows]:
    """All rows in order. NDJSON where the first character is a brace, otherwise CSV.

    Args:
        needed: the columns that a run must have. With a dot, "terms.grounding", it is a column of
            that name in CSV, and in NDJSON the member "grounding" of the object "terms".

    Raises:
        EvaluationError: a line that is no row.
    """
    head = source.readline(_MAX_LINE)
    while head.strip() == "" and head:
        head = source.readline(_MAX_LINE)
    if not head:
        raise EvaluationError("the log is empty: give one run a line")
    return rows_of(_rest(head, source), needed=needed)


def rows_of(
    lines: Iterable[str], *, needed: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Rows]:
    """The same of lines, the first of which is not blank; with the `optional` columns of NDJSON.

    Of CSV every column is there that the header has.
    """
    first = iter(lines)
    head = next(first, "")
    rest = chain((head,), first)
    if head.lstrip().startswith("["):
        told = "is a JSON array; must be one object a line, as `jq -c '.[]'` makes of it"
        raise bad_line(1, "line", told)
    if head.lstrip().startswith("{"):
        return _ndjson(rest, [*needed, *(it for it in optional if it not in needed)])
    return _csv(rest, needed, optional)


def _rest(head: str, source: TextIO) -> Iterator[str]:
    yield head
    yield from source


def _csv(lines: Iterable[str], needed: Sequence[str], optional: Sequence[str]) -> Iterator[Rows]:
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        check_header(header, needed=needed, optional=optional)
        while True:
            numbers, values = _chunk(reader, width=len(header))
            if not numbers:
                return
            columns = zip(*values, strict=True)
            yield Rows(text=True, lines=numbers, columns=dict(zip(header, columns, strict=True)))
    except csv.Error as error:
        raise bad_line(reader.line_num, "columns", f"not CSV ({error})") from error


def _chunk(reader: Any, *, width: int) -> tuple[list[int], list[list[str]]]:
    """Some rows and their line numbers: a plain loop, because it runs for every run of the log."""
    numbers: list[int] = []
    values: list[list[str]] = []
    for row in reader:
        if len(row) != width:
            if not row:  # a blank line is no run
                continue
            problem = f"{len(row)} where the header has {width}"
            raise bad_line(reader.line_num, "columns", problem)
        values.append(row)
        numbers.append(reader.line_num)
        if len(values) == _CHUNK_LINES:
            break
    return numbers, values


def _ndjson(lines: Iterable[str], needed: Sequence[str]) -> Iterator[Rows]:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while True:
        chunk = list(islice(numbered, _CHUNK_LINES))
        if not chunk:
            return
        numbers = [number for number, _ in chunk]
        objects = [_object(number, line) for number, line in chunk]
        _refuse_alike(numbers, objects, needed)
        columns = _members(numbers, objects, needed)
        canaries = [it.get(CANARY) for it in objects]
        if any(it is not None for it in canaries):
            columns[CANARY] = canaries
        yield Rows(text=False, lines=numbers, columns=columns)


def _refuse_alike(
    numbers: Sequence[int], objects: Sequence[dict[str, Any]], needed: Sequence[str]
) -> None:
    lines: dict[str, int] = {}
    for number, it in zip(numbers, objects, strict=True):
        if not it.keys() <= lines.keys():
            for name in it:
                lines.setdefault(name, number)
    refuse_alike(lines, known=[it.partition(".")[0] for it in needed])


def _members(
    numbers: Sequence[int], objects: Sequence[dict[str, Any]], needed: Sequence[str]
) -> dict[str, Sequence[Any]]:
    """The needed columns, those with a dot from the object of that name."""
    outer = {name.partition(".")[0] for name in needed if "." in name}
    inner = {
        name: [_inner(number, it, name) for number, it in zip(numbers, objects, strict=True)]
        for name in outer
    }
    columns: dict[str, Sequence[Any]] = {}
    for column in needed:
        name, dot, member = column.partition(".")
        found = inner[name] if dot else objects
        columns[column] = [it.get(member if dot else name) for it in found]
    return columns


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise bad_line(number, "line", "is not JSON") from error
    if not isinstance(found, dict):
        raise bad_line(number, "line", "is not a JSON object")
    return found


def _inner(number: int, found: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name, {})
    if not isinstance(inner, dict):
        raise bad_line(number, name, "is not an object: must be a map by name")
    return inner
