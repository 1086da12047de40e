"""What a policy is made of, as the rules use it; and the digest of a doer's CRL."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from learnops.api.crl import CRL, CRLWeights
from learnops.api.policy import Policy
from learnops.domain.crl.yardstick import Override, weights_by_tenant
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
    a budget of 0 and none, weights that are all twice as large (the loss is their weighted mean),
    an override that changes nothing.
    """
    told = {
        "weights": _relative(crl),
        "extraTerms": sorted(
            (it.name, it.metric, str(Fraction(it.cap)))
            for it in crl.extra_terms
            if Fraction(it.weight)
        ),
        "costUSD": str(Fraction(crl.budget.cost_usd or 0)),
        "latencyMilliseconds": crl.budget.latency_milliseconds,
    }
    return PREFIX + hashlib.sha256(canonical_json(told)).hexdigest()


def _relative(crl: CRL) -> dict[str, dict[str, str]]:
    """Each term's part of all weight, for everybody ("") and for the tenants that differ."""
    extra = {it.name: Fraction(it.weight) for it in crl.extra_terms}
    overrides = [
        Override(tenant=it.tenant or None, phase=it.phase or None, weights=_exact(it.weights))
        for it in crl.overrides
    ]
    weights = {} if crl.weights is None else _exact(crl.weights)
    found = weights_by_tenant(weights | extra, overrides)
    parts = {tenant or "": _parts(weights) for tenant, weights in found.items()}
    return {name: it for name, it in parts.items() if name == "" or it != parts[""]}


def _exact(weights: CRLWeights) -> dict[str, Fraction]:
    return {term: Fraction(weight) for term, weight in weights.to_wire().items()}


def _parts(weights: Mapping[str, Fraction]) -> dict[str, str]:
    total = sum(weights.values())
    return {term: str(weight / total) for term, weight in weights.items() if weight}
