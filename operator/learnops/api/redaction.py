"""Personal data that a doer's bundles must not keep."""

from typing import Annotated

import re2
from pydantic import Field

from learnops.api.common import ListType, Model, Rule, matching


def _is_useful(pattern: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search("") is None
    except re2.error:
        return False


class RedactionPattern(Model):
    """A pattern of the doer's own."""

    name: Annotated[
        str,
        Field(max_length=32),
        matching("[a-z][A-Za-z0-9]*", "must be a camelCase word, e.g. employee"),
    ]
    """What stands in brackets in the place of a match, e.g. [employee]."""
    pattern: Annotated[
        str,
        Field(min_length=1, max_length=512),
        # The API server compiles it: CEL's patterns are RE2, as the api's are.
        Rule(
            rule="!''.matches(self)",
            message="must be an RE2 pattern that does not match the empty text",
            holds=_is_useful,
        ),
    ]
    """RE2 syntax, e.g. EMP-[0-9]{6}."""


class Redaction(Model):
    """What is taken out of `qav` and `artifacts` of a bundle before it is stored, beside e-mail
    addresses, card numbers, US social security numbers and phone numbers."""

    patterns: Annotated[
        tuple[RedactionPattern, ...], Field(max_length=32), ListType(kind="map", keys=("name",))
    ] = ()
    """The doer's own patterns."""
