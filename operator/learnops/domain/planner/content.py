"""What a policy is made of, as the rules use it; and the digest of a doer's CRL."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from learnops.api.doer import CRL
from learnops.api.policy import Policy
from learnops.domain.policy import lineage as ancestry
from learnops.domain.policy.digest import PREFIX, canonical_json
from learnops.domain.policy.digest import digest as digest
from learnops.domain.policy.digest import identity as identity


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A policy's ancestors, oldest first; `reason` and `message` say what is wrong with them."""

    names: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


def lineage(name: str, policies: Mapping[str, Policy]) -> Lineage:
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


def crl_digest(crl: CRL) -> str:
    """Digest of the configuration under which runs are scored.

    One digest for what scores every run alike: "1" and "1.0", a term left out and one of weight 0,
    a budget of 0 and none, weights that are all twice as large (the loss is their weighted mean).
    """
    given = {term: Fraction(weight) for term, weight in crl.weights.to_wire().items()}
    total = sum(given.values())
    cost, latency = Fraction(crl.budget.cost_usd or 0), crl.budget.latency_milliseconds
    told = {
        "weights": {term: str(weight / total) for term, weight in given.items() if weight},
        "costUSD": str(cost),
        "latencyMilliseconds": latency,
    }
    return PREFIX + hashlib.sha256(canonical_json(told)).hexdigest()
