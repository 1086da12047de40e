"""What a policy is made of: digest, identity, lineage; and the digest of a doer's CRL."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learnops.api.doer import CRL
from learnops.api.policy import Policy, PolicySpec

_BESIDE_CONTENT = ("version", "parentRef", "doerRef")
_LONGEST_LINEAGE = 100


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A policy's ancestors, oldest first; `reason` and `message` say what is wrong with them."""

    names: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


def digest(spec: PolicySpec) -> str:
    """`v1:` and SHA-256 over the canonical JSON of the explicitly set fields."""
    return _sha(_set_fields(spec))


def identity(spec: PolicySpec) -> str:
    """The digest without version, parentRef and doerRef: the same content is the same candidate."""
    fields = _set_fields(spec)
    return _sha({key: value for key, value in fields.items() if key not in _BESIDE_CONTENT})


def lineage(name: str, policies: Mapping[str, Policy]) -> Lineage:
    """Follow parentRef to the oldest ancestor; a missing one or a cycle is named."""
    names: list[str] = []
    seen = {name}
    at = policies[name]
    while at.spec.parent_ref is not None and len(names) < _LONGEST_LINEAGE:
        parent = at.spec.parent_ref.name
        if parent in seen:
            return Lineage(reason="LineageCycle", message=f"parentRef leads back to {parent}")
        if parent not in policies:
            return Lineage(
                names=tuple(reversed(names)),
                reason="ParentNotFound",
                message=f"parentRef {parent} does not exist: apply it, or leave parentRef out",
            )
        names.append(parent)
        seen.add(parent)
        at = policies[parent]
    return Lineage(names=tuple(reversed(names)))


def crl_digest(crl: CRL) -> str:
    """Digest of the configuration under which runs are scored."""
    return _sha(crl.to_wire())


def _set_fields(spec: PolicySpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _sha(value: dict[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "v1:" + hashlib.sha256(canonical.encode()).hexdigest()
