"""A doer's CRL configuration as the yardsticks of its tenants."""

from learnops.api.crl import CRL, CRLWeights
from learnops.domain.crl.yardstick import (
    DEFAULT_WEIGHTS,
    Budget,
    ExtraTerm,
    Override,
    Weights,
    Yardstick,
    Yardsticks,
    resolve,
)


def yardsticks(crl: CRL) -> Yardsticks:
    """What runs of a doer are scored by.

    Args:
        crl: as it is in force in the doer's phase (``DoerSpec.scoring``): every override counts.
            Without weights a run is scored by what it reports itself.

    Raises:
        InvalidMetric: weights or caps that the schema should have refused.
    """
    extra = tuple(
        ExtraTerm(name=it.name, metric=it.metric, cap=float(it.cap)) for it in crl.extra_terms
    )
    decided = crl.weights is not None
    nine = DEFAULT_WEIGHTS if crl.weights is None else crl.weights.to_wire()
    named = {**nine, **{it.name: it.weight for it in crl.extra_terms}}
    base = Yardstick(
        weights=Weights.of(named, extra=[it.name for it in extra]),
        budget=_budget(crl),
        extra=extra,
        only_reported=not decided,
    )
    if not decided:
        return Yardsticks(base=base)
    overrides = [
        Override(tenant=it.tenant or None, phase=it.phase or None, weights=_numbers(it.weights))
        for it in crl.overrides
    ]
    return resolve(base, overrides)


def _budget(crl: CRL) -> Budget:
    """A cost of 0 is no budget: what a run is over it is told as a share of it."""
    cost, latency = crl.budget.cost_usd, crl.budget.latency_milliseconds
    return Budget(
        cost_usd=None if cost is None or float(cost) == 0 else float(cost),
        latency_milliseconds=None if latency is None else float(latency),
    )


def _numbers(weights: CRLWeights) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.to_wire().items()}
