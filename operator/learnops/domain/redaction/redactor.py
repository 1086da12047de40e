"""The redactor: JSON content in, the same without personal data out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import re2

from learnops.domain.redaction.patterns import FIELDS, KINDS, is_suspect, plain_name

MAX_PATTERNS: Final = 32
MAX_PATTERN_LENGTH: Final = 512
_NAMES_HELD: Final = 4096
_NAME_LENGTH_HELD: Final = 128
_MAX_PATTERN_BYTES: Final = 1 << 20


class InvalidPatternError(ValueError):
    """A doer's own pattern that cannot be used; the message names it and says why."""


class Redactor:
    """Takes personal data out of JSON content; what is taken out is counted by kind.

    The doer's own patterns run on RE2, whose time is linear in the text whatever the pattern: a bad
    one must not stop ingest for everybody.
    """

    def __init__(self, patterns: Mapping[str, str] | None = None) -> None:
        """`patterns`: RE2 syntax by name. Raises InvalidPatternError."""
        named = patterns or {}
        if len(named) > MAX_PATTERNS:
            raise InvalidPatternError(f"there are {len(named)} patterns; give at most 32")
        self._own = [(name, _compiled(name, pattern)) for name, pattern in named.items()]
        self._any_own = _any_of(list(named.values()))
        self._plain: dict[str, bool] = {}  # by a field's name as it was sent

    def may_find(self, value: Any, *, names: Iterable[str] = ()) -> bool:
        """False where `content` of the value, and `text` of the names, would change nothing; much
        quicker than to try.

        All texts are looked at as one, apart from each other by what no kind can contain.
        """
        texts: list[str] = []
        if self._own or not all(map(self._is_plain, names)) or not self._gathered(value, texts):
            return True
        return is_suspect("\n".join(texts))

    def content(self, value: Any, *, found: Counter[str]) -> Any:
        """The value with marks like `[email]` in the place of personal data.

        Args:
            value: what JSON can hold; it is not changed. Of keys of maps that become the same all
                but the first get a number, so that no value is lost.
            found: gets one count per kind and place.
        """
        if isinstance(value, str):
            return self.text(value, found=found)
        if value is None or isinstance(value, int | float):
            return value  # before Mapping and Sequence, which take long to be asked about
        if isinstance(value, Mapping):
            fields = [self._field(name, inner, found) for name, inner in value.items()]
            return dict(zip(self.names(value, found=found), fields, strict=True))
        if isinstance(value, Sequence):
            return [self.content(inner, found=found) for inner in value]
        return value

    def text(self, text: str, *, found: Counter[str]) -> str:
        """The same for one text."""
        if is_suspect(text):
            text = _built_in(text, found)
        if self._any_own is not None and self._any_own.search(text) is None:
            return text
        for name, pattern in self._own:
            if pattern.search(text) is not None:
                text, count = pattern.subn(f"[{name}]", text)
                found[name] += count
        return text

    def names(self, names: Iterable[str], *, found: Counter[str]) -> list[str]:
        """The same for the names of one map, in their order; they stay different."""
        cleaned = [(name, self.text(name, found=found)) for name in names]
        taken = {name for name, kept in cleaned if name == kept}
        numbers: dict[str, int] = {}
        return [name if name == kept else _free(kept, taken, numbers) for name, kept in cleaned]

    def _gathered(self, value: Any, texts: list[str]) -> bool:
        """Add all texts of the value; False where a field's name tells what it holds, or may
        itself hold something."""
        if isinstance(value, str):
            texts.append(value)
            return True
        if isinstance(value, dict):
            return all(
                self._is_plain(name) and self._gathered(inner, texts)
                for name, inner in value.items()
            )
        if isinstance(value, list):
            return all(self._gathered(inner, texts) for inner in value)
        return not isinstance(value, Mapping | Sequence)  # no JSON as it was parsed: not judged

    def _is_plain(self, name: str) -> bool:
        """Whether a field's name tells nothing; the same few names come with every run."""
        try:
            return self._plain[name]
        except KeyError:
            plain = _kind_of(name) is None and not is_suspect(name)
            if len(self._plain) >= _NAMES_HELD:
                self._plain.clear()
            if len(name) <= _NAME_LENGTH_HELD:
                self._plain[name] = plain
            return plain

    def _field(self, name: str, value: Any, found: Counter[str]) -> Any:
        kind = _kind_of(name)
        return self.content(value, found=found) if kind is None else self._of(kind, value, found)

    def _of(self, kind: str, value: Any, found: Counter[str]) -> Any:
        """What a field holds that is of this kind by its name: one datum, or a list of them."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._of(kind, inner, found) for inner in value]
        # A share or a score is none of them; a whole number may come as 4155552671.0.
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        if not value or not (whole or isinstance(value, str)):
            return self.content(value, found=found)
        found[kind] += 1
        return f"[{kind}]"


def characters(value: Any) -> int:
    """How many characters the texts of JSON content have, the names of its fields among them."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(name) + characters(inner) for name, inner in value.items())
    if isinstance(value, Sequence):
        return sum(map(characters, value))
    return 0


def _kind_of(name: str) -> str | None:
    """What a field of this name holds."""
    return FIELDS.get(plain_name(name))


def _free(name: str, taken: set[str], numbers: dict[str, int]) -> str:
    """The name, with a number where it is taken; taken from now on.

    `numbers` holds the last one that each name got: counted from 1 again for each of a map's names,
    a map by e-mail address would take quadratic time.
    """
    number = numbers.get(name, 1)
    free = name if number == 1 else f"{name} {number}"
    while free in taken:
        number += 1
        free = f"{name} {number}"
    taken.add(free)
    numbers[name] = number
    return free


def _built_in(text: str, found: Counter[str]) -> str:
    for kind in KINDS:
        kept, done = [], 0
        for start, end in kind.spans(text):
            kept += [text[done:start], kind.mark]
            done = end
            found[kind.name] += 1
        text = "".join(kept) + text[done:] if kept else text
    return text


def _any_of(patterns: Sequence[str]) -> Any:
    """Finds something wherever one of several patterns does; None where it cannot be made.

    Thirty patterns one after the other would take thirty times as long for each text, most of it
    to begin.
    """
    # An open quotation would take in what joins the patterns.
    if len(patterns) < 2 or any(r"\Q" in pattern for pattern in patterns):
        return None
    try:
        return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _options())
    except re2.error:  # two groups of one name, or too large together
        return None


def _options() -> Any:
    options = re2.Options()
    options.max_mem, options.log_errors = _MAX_PATTERN_BYTES, False
    return options


def _compiled(name: str, pattern: str) -> Any:
    if not 1 <= len(pattern) <= MAX_PATTERN_LENGTH:
        raise InvalidPatternError(f"{name}: must have 1 to {MAX_PATTERN_LENGTH} characters")
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        raise InvalidPatternError(f"{name}: is no RE2 pattern ({_said(error)})") from error
    if compiled.search("") is not None:
        raise InvalidPatternError(f"{name}: must not match the empty text: it would match anywhere")
    return compiled


def _said(error: Exception) -> str:
    """RE2's words; it gives them as bytes."""
    text = error.args[0] if error.args else "no reason given"
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text))[:120]
