"""Files that commands without a cluster read: one manifest, one log."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from pydantic import ValidationError

from learnops.cli.manifests import NotYAMLError, documents_of
from learnops.domain.bundle_limits import BODY_BYTES

MAX_LINE = 2 * BODY_BYTES  # characters; what a bundle may have is judged by who reads it
_MAX_BYTES = 1_000_000
_SKIPPED = 2**16


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
        return [it for it in documents_of(text) if it is not None]
    except NotYAMLError as error:
        raise InputError(f"{path}: {error}") from error


class _Log(io.TextIOWrapper):
    """Lines of UTF-8; one that is none is an InputError, or left to who reads it.

    A byte order mark, with which spreadsheets begin a CSV, is no part of the first name.
    """

    def __init__(self, source: BinaryIO, *, name: str, refuse: bool) -> None:
        super().__init__(source, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._name, self._refuse, self._ended = name, refuse, 0

    # The base class of all files reads bytes; typeshed overrides it for text in the same way.
    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """The next line; iteration comes here as well. Of one that is far too long only the begin,
        so that a file without line ends does not fill the memory."""
        line = super().readline(size if size >= 0 else MAX_LINE)
        if size < 0 and len(line) == MAX_LINE:
            self._skip(line)
        if self._refuse and not is_utf8(line):
            raise InputError(f"{self._name}: line {self._ended + 1}: is not UTF-8")
        self._ended += line.endswith(("\n", "\r"))
        return line

    def _skip(self, line: str) -> None:
        """Read on to the end of a line; raises InputError where it is refused."""
        while not line.endswith(("\n", "\r")):
            if self._refuse:
                told = f"line {self._ended + 1}: has over {MAX_LINE:,} characters"
                raise InputError(f"{self._name}: {told}: give one run a line")
            line = super().readline(_SKIPPED)
            if not line:
                return


def is_utf8(line: str) -> bool:
    """Whether a line of a log that was `opened` with `refuse=False` is text."""
    try:
        return line.isascii() or bool(line.encode())
    except UnicodeEncodeError:
        return False


@contextmanager
def opened(name: str, *, refuse: bool = True) -> Iterator[TextIO]:
    """A log as text; `-` is standard input, which is left open.

    Raises:
        InputError: it cannot be read; later, where `refuse`, that a line is not UTF-8.
    """
    if name == "-":
        with _standard_input(refuse=refuse) as log:
            yield log
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    with _Log(file, name=name, refuse=refuse) as log:
        yield log


@contextmanager
def _standard_input(*, refuse: bool) -> Iterator[TextIO]:
    if sys.stdin is None:  # whoever started us has closed it
        raise InputError("standard input is closed: give a file")
    source = getattr(sys.stdin, "buffer", None)
    if source is None:  # text already, where a program has put it there
        yield sys.stdin
        return
    log = _Log(source, name="standard input", refuse=refuse)
    try:
        yield log
    finally:
        log.detach()


def first_of(error: ValidationError) -> str:
    """Place and message of the first thing that is wrong."""
    first = error.errors()[0]
    place = ".".join(str(it) for it in first["loc"])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
