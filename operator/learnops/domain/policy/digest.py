"""Digest and identity of a policy: what it is, as 67 characters.

The digest is made of the fields that spec *sets*, as the model reads them from the stored object:

- Not of the model's whole dump: a field that a later version adds with a default would then change
  the digest of every policy that exists, and a canary would take the old content for a new one.
- Not of the raw JSON: what this version cannot read, it cannot vouch for. Unknown fields are
  refused by the model before.
- The schema has no defaults in PolicySpec (a test says so), so that the stored object sets what
  its author set and nothing else.

Canonical JSON is that of RFC 8785 for what a spec can hold (objects, arrays, strings, integers):
keys sorted, no spaces, UTF-8, shortest escapes. Strings are taken as they are: no Unicode
normalisation, since a model reads code points. Lists keep their order, also the tool allowlist,
whose order an agent may show to its model; "0.5" and "0.50" are different content.
"""

import hashlib
import json
from typing import Any

from learnops.api.policy import PolicySpec

PREFIX = "v1:"
# What names or places a policy and is no part of what it does.
NOT_CONTENT = frozenset({"version", "parentRef", "doerRef"})


def digest(spec: PolicySpec) -> str:
    """ "v1:" and 64 hexadecimal digits: the same for the same set fields, whatever their order."""
    return _hash(_set_fields(spec))


def identity(spec: PolicySpec) -> str:
    """The digest without version, parentRef and doerRef.

    Two policies with one identity are the same candidate, and the attempts of one count for both.
    """
    fields = _set_fields(spec)
    return _hash({name: value for name, value in fields.items() if name not in NOT_CONTENT})


def canonical_json(value: Any) -> bytes:
    """The one byte string for a JSON value without floats; raises TypeError for a float."""
    _refuse_floats(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def _set_fields(spec: PolicySpec) -> dict[str, Any]:
    # None stands for "absent" in a model; the API server stores no null here.
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _hash(value: Any) -> str:
    return PREFIX + hashlib.sha256(canonical_json(value)).hexdigest()


def _refuse_floats(value: Any) -> None:
    """A float has no one text that every writer of JSON agrees on."""
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float: canonical JSON has text and integers only")
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for item in inner:
            _refuse_floats(item)
