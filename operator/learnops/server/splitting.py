"""The items of a batch in JSON, cut out of its body without keeping what they say."""

import asyncio
import json
import re
from http import HTTPStatus
from typing import Any, Final

from learnops.domain.bundle_limits import BODY_BYTES
from learnops.server.models import MAX_BATCH
from learnops.server.problems import Problem

# An item that is not longer than it may be ends within a window that begins at most a step before.
_STEP: Final = BODY_BYTES
_WINDOW: Final = _STEP + BODY_BYTES + 1
_TURN_BYTES: Final = 64 * 1024  # read in one go, before others have their turn
_TURN_TOKENS: Final = 20_000
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
# Numbers are not made here: what is in an item is read when its turn comes.
_DECODER: Final = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)


async def split(body: bytes) -> list[bytes | None] | None:
    """The items of `[...]` or of `{"runs": [...]}`, as they came; None instead of an item that is
    longer than a bundle may be, and None alone where there is no list of runs.

    Others have their turn in between, and never is more than one item held that was parsed. Raises
    Problem 400 where the body is not JSON, and 422 for too many items.
    """
    text = _Text(body)
    items: list[bytes | None] | None = None
    if text.peek() == "[":
        items = await _array(text)
    elif text.peek() == "{":
        items = await _runs(text)
    else:
        await text.value()
    if text.peek():
        raise text.broken("nothing more")
    return items


def too_many(what: str) -> Problem:
    """422 for a batch of too many items."""
    detail = f"runs: has {what}; send at most {MAX_BATCH} at once"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")


async def _array(text: "_Text") -> list[bytes | None]:
    items: list[bytes | None] = []
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return items
    while True:
        text.peek()
        begin = text.at
        await text.value()
        items.append(text.since(begin) if text.at - begin <= BODY_BYTES else None)
        if len(items) > MAX_BATCH:
            raise too_many(f"over {MAX_BATCH} items")
        if text.take(",]") == "]":
            return items


async def _runs(text: "_Text") -> list[bytes | None] | None:
    items: list[bytes | None] | None = None
    text.take("{")
    if text.peek() == "}":
        text.take("}")
        return items
    while True:
        if text.peek() != '"':
            raise text.broken("a name")
        name = await text.value()
        text.take(":")
        if name == "runs":
            items = await _array(text) if text.peek() == "[" else None
        if name != "runs" or items is None:
            text.peek()
            await text.value()
        if text.take(",}") == "}":
            return items


class _Text:
    """A body and where reading it has come to, `at`.

    Read as Latin-1, in which each byte is a character: places are the same in both, JSON's own
    signs too, and of what stands in texts nothing but `runs` is looked at.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0
        self._base = 0
        self._window = body[:_WINDOW].decode("latin-1")
        self._unshared = 0  # bytes that were read since others had their turn

    def since(self, begin: int) -> bytes:
        """What was read from there."""
        return self._body[begin : self.at]

    def peek(self) -> str:
        """The next sign that is no space; empty at the end."""
        while True:
            self._slide()
            place = self.at - self._base
            found = _SPACE.match(self._window, place)
            self.at += found.end() - place if found else 0
            if self.at < self._base + len(self._window):
                return self._window[self.at - self._base]
            if self.at == len(self._body):
                return ""

    def take(self, signs: str) -> str:
        """The next sign, one of these. Raises Problem 400."""
        found = self.peek()
        if not found or found not in signs:
            raise self.broken(" or ".join(signs))
        self.at += 1
        return found

    async def value(self) -> Any:
        """One value, from `at` on; of one that is too long only its end is found."""
        begin = self.at
        self._slide()
        read = self._read()
        if read is None:
            value, self.at = None, await self._end_of(begin)
            if self.at - begin <= BODY_BYTES:
                self.at = begin
                raise self.broken("a value")
        else:
            value, self.at = read
        await self._share(self.at - begin)
        return value

    def _read(self) -> tuple[Any, int] | None:
        """The value here and its end; None where it is broken, or goes on beyond the window."""
        try:
            value, end = _DECODER.raw_decode(self._window, self.at - self._base)
        except (ValueError, RecursionError):
            return None
        end += self._base
        # A number that is cut is a number.
        cut = end - self._base == len(self._window) and end < len(self._body)
        return None if cut else (value, end)

    def broken(self, expected: str) -> Problem:
        """400: something else is here."""
        detail = f"the body is not JSON: {expected} is expected at byte {self.at}"
        return Problem(HTTPStatus.BAD_REQUEST, detail)

    def _slide(self) -> None:
        if self.at - self._base >= _STEP:
            self._base = self.at
            self._window = self._body[self.at : self.at + _WINDOW].decode("latin-1")

    async def _share(self, size: int) -> None:
        self._unshared += size
        if self._unshared > _TURN_BYTES:
            self._unshared = 0
            await asyncio.sleep(0)

    async def _end_of(self, begin: int) -> int:
        """Where a value ends by its brackets, whatever else may be wrong in it."""
        depth = 0
        for number, token in enumerate(_TOKEN.finditer(self._body, begin)):
            sign = token[0]
            if sign in (b"{", b"["):
                depth += 1
            elif sign in (b"}", b"]"):
                depth -= 1
            if depth <= 0:
                return token.end()
            if number % _TURN_TOKENS == 0:
                await asyncio.sleep(0)
        raise self.broken("a value")
