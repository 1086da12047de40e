"""Files that commands without a cluster read: one manifest, one log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import yaml
from pydantic import ValidationError

_MAX_BYTES = 1_000_000


class InputError(Exception):
    """A file that is not what the command needs; the message names the place and the field."""


def document(path: Path, *, kind: str) -> dict[str, Any]:
    """The one object of this kind that a file holds.

    Raises:
        InputError: it cannot be read, is too large, no YAML, or another kind.
    """
    found = documents(path, max_bytes=_MAX_BYTES)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise InputError(f"{path}: must be one {kind}")
    if found[0].get("kind", kind) != kind:
        raise InputError(f"{path}: kind: {found[0]['kind']!r:.80} is not {kind}")
    return dict(found[0])


def documents(path: Path, *, max_bytes: int) -> list[Any]:
    """What the documents of a file hold, empty ones left out.

    Raises:
        InputError: it cannot be read, is too large, or no YAML.
    """
    try:
        with path.open("rb") as file:
            text = file.read(max_bytes + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(text) > max_bytes:
        raise InputError(f"{path}: has over {max_bytes:,} bytes")
    try:
        return [it for it in yaml.safe_load_all(text) if it is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML") from error


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    """A log as text; `-` is standard input, which is left open. Raises InputError."""
    if name == "-":
        yield sys.stdin
        return
    try:
        file = Path(name).open(encoding="utf-8", newline="")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    with file:
        yield file


def first_of(error: ValidationError) -> str:
    """Place and message of the first thing that is wrong."""
    first = error.errors()[0]
    place = ".".join(str(it) for it in first["loc"])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
