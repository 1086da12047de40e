"""Composite Run Loss: how a run of a doer is scored."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from learnops.api.common import Decimal, Integer, ListType, Model, Rule, StatusModel, matching

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


# Names that are keys of the breakdown and of metrics: camelCase words, as the nine terms are.
TermName = Annotated[
    str,
    Field(max_length=32),
    matching("[a-z][A-Za-z0-9]*", "must be a camelCase word, e.g. toxicity"),
]
Phase = Annotated[
    str,
    Field(max_length=63),
    matching("([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", "must be a label value, e.g. plan"),
]


def _positive_cap(term: "ExtraTerm") -> bool:
    return float(term.cap) > 0


def _not_of_the_nine(term: "ExtraTerm") -> bool:
    return term.name not in TERMS


class ExtraTerm(Model):
    """A term of the doer's domain, beyond the nine: clip(metric / cap, 0, 1)."""

    name: TermName
    """What it is called in weights, breakdown and reports."""
    metric: Annotated[str, Field(min_length=1, max_length=64)]
    """The entry of the bundle's `metrics` that it is read from: a number, 0 the best."""
    cap: Decimal = "1"
    """The value of the metric from which the term is 1, the worst; a decimal above 0 as text."""
    weight: Decimal = "1"
    """Its weight, a decimal as text."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.cap.matches('[1-9]')",
            message='must be above "0"',
            field_path=".cap",
            holds=_positive_cap,
        ),
        Rule(
            rule=f"!(self.name in {list(TERMS)})",
            message="must not be one of the nine terms",
            field_path=".name",
            holds=_not_of_the_nine,
        ),
    )


class CRLOverride(Model):
    """Other weights for a tenant, for a phase, or for a tenant in a phase."""

    # Keys of a list map need a value: an API server would find "twice" by no other cheap means.
    tenant: Annotated[str, Field(max_length=253)] = ""
    """Runs of this tenant; empty: of every tenant."""
    phase: Phase = ""
    """Doers of this phase; empty: of every phase."""
    weights: CRLWeights
    """The weights that differ; a term that is left out keeps its weight."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.tenant != '' || self.phase != ''",
            message="must name a tenant or a phase",
            holds=lambda it: bool(it.tenant or it.phase),
        ),
    )


class CRL(Model):
    """How a run of this doer is scored: the Composite Run Loss."""

    weights: CRLWeights | None = None
    """Weight of each term. The loss of a run is the weighted mean of its terms, each 0 to 1. A
    term in use that a run does not report counts 1. Absent: weight 1 for each of the nine terms
    that at least 90 % of the active policy's last 200 runs report, as `status.crl` tells; decided
    when there are 20 runs, and anew when a rollout starts, whose runs are all scored alike. Until
    then a run is scored by the terms that it reports itself."""
    budget: CRLBudget = CRLBudget()
    """Budget of a run that states none itself."""
    overrides: Annotated[
        tuple[CRLOverride, ...],
        Field(max_length=50),
        ListType(kind="map", keys=("tenant", "phase")),
    ] = ()
    """Weights that differ by tenant and phase. Each weight comes from the most specific override
    that names its term: tenant and phase, then tenant, then phase, then `weights`."""
    extra_terms: Annotated[
        tuple[ExtraTerm, ...], Field(max_length=16), ListType(kind="map", keys=("name",))
    ] = ()
    """Terms of the doer's own domain, beyond the nine."""

    def in_phase(self, phase: str) -> Self:
        """The same for a doer of this phase alone: without the overrides of other phases.

        This is what is frozen with a rollout and digested, so that a doer's runs are scored by it
        without asking for its phase again.
        """
        here = tuple(it for it in self.overrides if it.phase in ("", phase))
        return self.model_copy(update={"overrides": here})

    def weighed(self, observed: CRLWeights | None) -> Self:
        """The same with the weights that were observed, where it has none of its own."""
        if self.weights is not None or observed is None:
            return self
        return self.model_copy(update={"weights": observed})


class CRLStatus(StatusModel):
    """The weights in force where the spec has none, and what runs do not report."""

    weights: CRLWeights | None = None
    """The weights in force; absent where `spec.crl.weights` has them, or nothing is known yet."""
    why: Annotated[str, Field(max_length=512)] = ""
    """Where they come from."""
    missing: Annotated[tuple[TermName, ...], Field(max_length=32), ListType(kind="set")] = ()
    """Terms in use that runs of the active policy do not report: each counts 1, the worst."""
