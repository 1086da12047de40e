<<<<<<< HEAD
"""What a policy is made of, as the rules use it; and the digest of a doer's CRL."""
=======
"""What a policy is made of, as the planner asks for it; and the digest of a doer's CRL."""
>>>>>>> refs/heads/planner

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

<<<<<<< HEAD
from learnops.api.doer import CRL
from learnops.api.policy import Policy
from learnops.domain.policy import lineage as ancestry
from learnops.domain.policy.digest import PREFIX, canonical_json
from learnops.domain.policy.digest import digest as digest
from learnops.domain.policy.digest import identity as identity
=======
from learnops.api.crl import CRL
from learnops.api.policy import Policy
from learnops.domain.policy.digest import canonical_json, digest, identity
from learnops.domain.policy.lineage import (
    LineageCycle,
    MissingParent,
    TooManyAncestors,
    parents_of,
)
from learnops.domain.policy.lineage import lineage as ancestors

__all__ = ["Lineage", "crl_digest", "digest", "identity", "lineage"]
>>>>>>> refs/heads/planner


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A policy's ancestors, oldest first; `reason` and `message` say what is wrong with them."""

    names: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


def lineage(name: str, policies: Mapping[str, Policy]) -> Lineage:
<<<<<<< HEAD
    """Follow parentRef to the oldest ancestor; what is wrong on the way is a condition's reason."""
    found = ancestry.lineage(name, ancestry.parents_of(policies))
    match found:
        case ancestry.MissingParent():
            return Lineage(reason="ParentNotFound", message=found.message)
        case ancestry.LineageCycle():
            return Lineage(reason="LineageCycle", message=found.message)
        case ancestry.TooManyAncestors():
            return Lineage(reason="TooManyAncestors", message=found.message)
    return Lineage(names=found)
=======
    """Follow parentRef to the oldest ancestor; what stands in the way is named."""
    found = ancestors(name, parents_of(policies))
    match found:
        case MissingParent():
            return Lineage(reason="ParentNotFound", message=found.message)
        case LineageCycle():
            return Lineage(reason="LineageCycle", message=found.message)
        case TooManyAncestors():
            return Lineage(reason="TooManyAncestors", message=found.message)
        case names:
            return Lineage(names=names)
>>>>>>> refs/heads/planner


def crl_digest(crl: CRL) -> str:
    """Digest of the configuration under which runs are scored."""
<<<<<<< HEAD
    return PREFIX + hashlib.sha256(canonical_json(crl.to_wire())).hexdigest()
=======
    return "v1:" + hashlib.sha256(canonical_json(crl.to_wire())).hexdigest()
>>>>>>> refs/heads/planner
