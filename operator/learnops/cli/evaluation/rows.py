"""Rows of a run log, from CSV or NDJSON, as raw columns with the line that each came from."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

from learnops.cli.evaluation.errors import EvaluationError, bad_line

NEEDED = ("arm", "propensity", "loss")
CANARY = "canary"
TERM = "terms."
"""Prefix of a term's column in CSV."""

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


def read(source: TextIO, *, terms: Sequence[str]) -> Iterator[Rows]:
    """All rows in order. NDJSON where the first character is a brace, otherwise CSV.

    Raises:
        EvaluationError: a line that is no row.
    """
    head = source.readline(_MAX_LINE)
    while head.strip() == "" and head:
        head = source.readline(_MAX_LINE)
    if not head:
        raise EvaluationError("the log is empty: give one run a line")
    first = _rest(head, source)
    return _ndjson(first, terms) if head.lstrip().startswith("{") else _csv(first, terms)


def _rest(head: str, source: TextIO) -> Iterator[str]:
    yield head
    yield from source


def _csv(lines: Iterable[str], terms: Sequence[str]) -> Iterator[Rows]:
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        _check_header(header, needed=[*NEEDED, *(TERM + term for term in terms)])
        while True:
            numbers, values = _chunk(reader, width=len(header))
            if not numbers:
                return
            columns = zip(*values, strict=True)
            yield Rows(text=True, lines=numbers, columns=dict(zip(header, columns, strict=True)))
    except csv.Error as error:
        raise bad_line(reader.line_num, "columns", f"not CSV ({error})") from error


def _check_header(header: Sequence[str], *, needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise bad_line(1, missing[0], f"no such column; the header is {','.join(header):.200}")
    if len(set(header)) < len(header):
        raise bad_line(1, "header", "has a column twice")


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


def _ndjson(lines: Iterable[str], terms: Sequence[str]) -> Iterator[Rows]:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while True:
        chunk = list(islice(numbered, _CHUNK_LINES))
        if not chunk:
            return
        objects = [_object(number, line) for number, line in chunk]
        columns = {name: [it.get(name) for it in objects] for name in (*NEEDED, CANARY)}
        if terms:
            inner = [_terms(number, it) for (number, _), it in zip(chunk, objects, strict=True)]
            columns |= {TERM + term: [it.get(term) for it in inner] for term in terms}
        if all(it is None for it in columns[CANARY]):
            del columns[CANARY]
        yield Rows(text=False, lines=[number for number, _ in chunk], columns=columns)


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise bad_line(number, "line", "is not JSON") from error
    if not isinstance(found, dict):
        raise bad_line(number, "line", "is not a JSON object")
    return found


def _terms(number: int, found: Mapping[str, Any]) -> dict[str, Any]:
    terms = found.get("terms", {})
    if not isinstance(terms, dict):
        raise bad_line(number, "terms", "is not an object of terms")
    return terms
