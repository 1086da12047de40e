"""Composite Run Loss: how a run of a doer is scored."""

from typing import Annotated, ClassVar

from pydantic import Field

from learnops.api.common import Decimal, Integer, Model, Rule

TERMS = (
    "gatePassRate",
    "contradictions",
    "grounding",
    "costOverBudget",
    "latencyP95",
    "securityCriticals",
    "apiBreakages",
    "dbMigrationFail",
    "ragCoverage",
)


def _any_weight(weights: "CRLWeights") -> bool:
    return any(float(weight) > 0 for weight in weights.to_wire().values())


class CRLWeights(Model):
    """Weight of each CRL term, a decimal as text; a term left out has weight 0, is not in use."""

    gate_pass_rate: Decimal | None = None
    """Share of the run's gates that failed."""
    contradictions: Decimal | None = None
    """Contradictions found in the answer."""
    grounding: Decimal | None = None
    """Part of the answer that no source supports."""
    cost_over_budget: Decimal | None = None
    """Cost above the run's budget."""
    latency_p95: Decimal | None = Field(default=None, alias="latencyP95")
    """95th percentile of latency above the run's budget."""
    security_criticals: Decimal | None = None
    """Critical security findings."""
    api_breakages: Decimal | None = None
    """Breaking changes of an API."""
    db_migration_fail: Decimal | None = None
    """A failed database migration."""
    rag_coverage: Decimal | None = None
    """Part of what should have been retrieved that was not."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="["
            + ", ".join(f"self.?{term}.orValue('0')" for term in TERMS)
            + "].exists(weight, weight.matches('[1-9]'))",
            message='must give at least one term a weight above "0"',
            holds=_any_weight,
        ),
    )


class CRLBudget(Model):
    """What a run may cost and take where the run itself states no budget."""

    cost_usd: Decimal | None = Field(default=None, alias="costUSD")
    """US dollars a run, a decimal as text."""
    latency_milliseconds: Annotated[Integer, Field(ge=1, le=86_400_000)] | None = None
    """Milliseconds a run."""


class CRL(Model):
    """How a run of this doer is scored: the Composite Run Loss."""

    weights: CRLWeights
    """Weight of each term. The loss of a run is the weighted mean of its terms, each 0 to 1. A
    term in use that a run does not report counts 1."""
    budget: CRLBudget = CRLBudget()
    """Budget of a run that states none itself."""
