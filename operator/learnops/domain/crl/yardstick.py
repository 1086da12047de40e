"""What a run is measured by: weights, budgets and extra terms, and whose they are.

The weight of a term comes from the most specific place that names it: an override for the run's
tenant and the doer's phase, then one for the tenant, then one for the phase, then the doer itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, Generic, Self, TypeVar

from learnops.domain.crl.terms import InvalidMetric, Term, positive

Number = TypeVar("Number", float, Fraction)

MAX_WEIGHT: Final = 1e9
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {term.value: 1.0 for term in Term}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The doer's budgets, in force where a run states none; None: none either."""

    cost_usd: float | None = None
    latency_milliseconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("cost_usd", "latency_milliseconds"):
            value = getattr(self, name)
            if value is not None:
                positive(value, f"budget.{name}")

    @classmethod
    def of(cls, named: Mapping[str, Decimal | float | str | None]) -> Self:
        """From the names and decimal texts of a Doer: ``costUSD``, ``latencyMilliseconds``."""
        cost, latency = named.get("costUSD"), named.get("latencyMilliseconds")
        return cls(
            cost_usd=None if cost is None else _decimal(cost, "budget.costUSD"),
            latency_milliseconds=None
            if latency is None
            else _decimal(latency, "budget.latencyMilliseconds"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraTerm:
    """A domain term beyond the nine: ``clip(metrics[metric] / cap, 0, 1)``; 0 is the best."""

    name: str
    metric: str
    cap: float

    def __post_init__(self) -> None:
        if self.name in DEFAULT_WEIGHTS:
            raise InvalidMetric(
                field="extraTerms", detail=f"{self.name} is one of the nine terms; name another"
            )
        positive(self.cap, f"extraTerms[{self.name:.60}].cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weight per term, 0 or more, at least one above 0; a term that is not named has weight 0.

    Attributes:
        by_term: of the nine, and of extra terms by their names.
    """

    by_term: Mapping[str, float]

    def __post_init__(self) -> None:
        for term, weight in self.by_term.items():
            if not 0.0 <= weight <= MAX_WEIGHT:
                raise InvalidMetric(
                    field=f"weights.{term:.60}", detail=f"is {weight}; use 0 to {MAX_WEIGHT:g}"
                )
        if not any(self.by_term.values()):
            raise InvalidMetric(field="weights", detail="sum to 0; give one term a weight above 0")

    @classmethod
    def of(
        cls, named: Mapping[str, Decimal | float | str | None], *, extra: Iterable[str] = ()
    ) -> Self:
        """From names and decimal texts, as a Doer writes them (None: not in use).

        Args:
            named: of the nine terms by their camelCase names, and of the extra ones.
            extra: the names of the extra terms that there are.

        Raises:
            InvalidMetric: an unknown term, a weight that is negative or not finite, or all 0.
        """
        known = (*DEFAULT_WEIGHTS, *extra)
        for name in named:
            if name not in known:
                raise InvalidMetric(
                    field=f"weights.{name:.60}",
                    detail=f"is no term; the terms are {', '.join(known)}",
                )
        return cls(
            by_term={
                name: _decimal(weight, f"weights.{name}")
                for name, weight in named.items()
                if weight is not None
            }
        )


@dataclass(frozen=True, kw_only=True)
class Override(Generic[Number]):
    """Other weights for a tenant, a phase, or a tenant in a phase; None is any.

    Only the terms that it names differ.
    """

    tenant: str | None = None
    phase: str | None = None
    weights: Mapping[str, Number]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What one run is scored by.

    `only_reported`: nobody said yet which terms count, so a run is scored by those that it reports
    itself, and by all of them where it reports none. Never in a rollout: there silence would pay.
    """

    weights: Weights
    budget: Budget = Budget()
    extra: tuple[ExtraTerm, ...] = ()
    only_reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardsticks:
    """The yardstick of every tenant of a doer."""

    base: Yardstick
    by_tenant: Mapping[str, Yardstick] = field(default_factory=dict)

    def of(self, tenant: str | None) -> Yardstick:
        """What a run of this tenant is scored by; None: a run that names no tenant."""
        return self.base if tenant is None else self.by_tenant.get(tenant, self.base)


def resolve(base: Yardstick, overrides: Sequence[Override[float]] = ()) -> Yardsticks:
    """The yardsticks of a doer, from the overrides of its phase and of any.

    Raises:
        InvalidMetric: weights that are refused.
    """
    found = weights_by_tenant(base.weights.by_term, overrides)
    everybody = replace(base, weights=Weights(by_term=found.pop(None)))
    return Yardsticks(
        base=everybody,
        by_tenant={
            tenant: replace(base, weights=Weights(by_term=weights))
            for tenant, weights in found.items()
            if tenant is not None
        },
    )


def weights_by_tenant(
    base: Mapping[str, Number], overrides: Sequence[Override[Number]]
) -> dict[str | None, dict[str, Number]]:
    """Each term's weight for everybody (None) and for the tenants that are named."""
    ordered = sorted(overrides, key=lambda it: (it.tenant is not None, it.phase is not None))
    tenants: list[str | None] = [None, *(it.tenant for it in overrides)]
    found: dict[str | None, dict[str, Number]] = {}
    for tenant in dict.fromkeys(tenants):
        merged = dict(base)
        for override in ordered:  # the most specific one last
            if override.tenant in (None, tenant):
                merged |= override.weights
        found[tenant] = merged
    return found


def _decimal(value: Decimal | float | str, path: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidMetric(field=path, detail=f"is {value!r:.40}; write a decimal") from None
