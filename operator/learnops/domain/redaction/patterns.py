"""What counts as personal data in free text, and in fields that say by their name what they hold.

What may stand beside a number is asked together with its form, and a checksum or range check
(python-stdnum) decides where there is one: an order number of sixteen digits stays. A number
without any separator is taken for a card only, because ids and times have nine or ten digits too.

Each expression for `re` takes time linear in the text, whatever stands there: a try looks at a
bounded piece, or at one in which no other begins. Those for RE2 do anyway.
"""

import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import re2
from stdnum.us import ssn

from learnops.domain.redaction.apart import RIGHT, left_of
from learnops.domain.redaction.cards import cards

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of personal data; `spans` finds where in a text it stands, in order."""

    name: str
    spans: Callable[[str], Iterator[Span]]

    @property
    def mark(self) -> str:
        """What stands there instead."""
        return f"[{self.name}]"


# RE2 knows which characters of any script are letters and numbers.
_EMAIL: Final = re2.compile(r"[\pL\pN_.!#$%&'*+/=?^`{|}~-]+@[\pL\pN.-]+\.\pL\pL+")
# Nothing without this is one, and it is found in a tenth of the time: what is not ASCII may be a
# letter.
_MAYBE_EMAIL: Final = re.compile(
    r"@(?<=[\w.!#$%&'*+/=?^`{|}~\x80-\U0010ffff-]@)"
    r"[a-zA-Z0-9.\x80-\U0010ffff-]+\.[a-zA-Z\x80-\U0010ffff]{2}"
)
_LOCAL: Final = string.ascii_letters + string.digits + "_.!#$%&'*+/=?^`{|}~-"
_DOMAIN: Final = re.compile(r"[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}")
# Without what was never given out, as python-stdnum has it.
_SSN: Final = re.compile(
    rf"[0-8][0-9]{{2}}([ -]){left_of('[0-9]{3}[ -]')}(?<!000[ -])(?<!666[ -])"
    rf"(?!00)[0-9]{{2}}\1(?!0000)[0-9]{{4}}{RIGHT}"
    r"(?<!078.05.1120)(?<!457.55.5462)(?<!219.09.9999)"
)
# With a country code, or in the North American form of three, three and four digits. As long as it
# gets, or not at all: one that goes on after its last digit is none.
_PHONE: Final = re.compile(
    rf"[+(1-9]{left_of('[+(1-9]')}(?>"
    r"(?<=\+)[0-9]{1,3}(?:[ .()-]{0,2}[0-9]){6,12}"
    r"|(?:(?<=1)[ .-][(2-9])?(?:(?<=\()[2-9][0-9]{2}\) ?|(?<=[2-9])[0-9]{2}[ .-])"
    r"[0-9]{3}[ .-][0-9]{4}"
    rf"){RIGHT}"
)


def _emails(text: str) -> Iterator[Span]:
    if _MAYBE_EMAIL.search(text) is None:
        return iter(())
    if text.isascii():
        return _ascii_emails(text)
    return (found.span() for found in _EMAIL.finditer(text))


def _ascii_emails(text: str) -> Iterator[Span]:
    """The same a few times as quickly: by each `@`, of which an address has one alone."""
    free = 0  # what stands before is taken, or before another `@`
    at = text.find("@")
    while at >= 0:
        begin = free + len(text[free:at].rstrip(_LOCAL))
        domain = _DOMAIN.match(text, at + 1)
        if begin < at and domain is not None:
            yield begin, domain.end()
            free = domain.end()
        else:
            free = at + 1
        at = text.find("@", free)


def _ssns(text: str) -> Iterator[Span]:
    """One that python-stdnum refuses must not hide another that begins within it."""
    found = _SSN.search(text)
    while found is not None:
        start, end = found.span()
        if ssn.is_valid(found[0].replace(found[1], "")):
            yield start, end
            start = end - 1
        found = _SSN.search(text, start + 1)


def _phones(text: str) -> Iterator[Span]:
    return (found.span() for found in _PHONE.finditer(text))


KINDS: Final = (
    Kind(name="email", spans=_emails),
    Kind(name="card", spans=cards),
    Kind(name="ssn", spans=_ssns),
    Kind(name="phone", spans=_phones),
)
"""In this order: a card is looked for before a phone number could take a part of it."""

BUILT_IN: Final = frozenset(kind.name for kind in KINDS)

_MAYBE_NUMBER: Final = re.compile(r"[0-9][0-9 ().+-]{6}")
_SUSPECT_IN_LONG: Final = re2.compile(r"@|\d[\d ().+-]{6}")
_LONG: Final = 256  # characters from which on RE2 is quicker, which takes long to begin


def is_suspect(text: str) -> bool:
    """False where nothing of the built-in kinds can stand: not without an `@`, or a digit and six
    more characters of numbers."""
    if len(text) >= _LONG:
        return _SUSPECT_IN_LONG.search(text) is not None
    may_be_email = "@" in text and _MAYBE_EMAIL.search(text) is not None
    return may_be_email or _MAYBE_NUMBER.search(text) is not None


_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "emailaddress", "mail", "useremail"),
    "card": ("card", "cardnumber", "creditcard", "creditcardnumber", "pan"),
    "ssn": ("ssn", "socialsecuritynumber"),
    "phone": ("phone", "phonenumber", "mobile", "mobilenumber", "telephone", "tel"),
}
FIELDS: Final[Mapping[str, str]] = {
    field: kind for kind, fields in _NAMES.items() for field in fields
}
"""Kind by a field's name in small letters without separators: its text or number is taken out
whatever it looks like."""

_SEPARATORS: Final = str.maketrans("", "", "-_ .")


def plain_name(field: str) -> str:
    """A field's name as FIELDS has it: `e-mail`, `E_Mail` and `eMail` are one."""
    return field[:64].translate(_SEPARATORS).lower()
