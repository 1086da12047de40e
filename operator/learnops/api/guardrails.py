"""Guardrails of an analysis: on a term of the CRL, or on the answer of a PromQL query."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from learnops.api.common import (
    ATOMIC,
    Decimal,
    Fraction,
    Integer,
    Model,
    Name,
    Number,
    OpenFraction,
    Rule,
    StatusModel,
    matching,
)
from learnops.api.crl import TERMS

PLACEHOLDERS = ("namespace", "doer", "canary", "candidate", "control")
"""What `$(...)` in a query may name."""
_OTHER_CULPRITS = ("loss", *TERMS)
_DEFAULT_TOLERANCE, _DEFAULT_MARGIN = "0", "0.05"

# As text: values of an enum would have to be CamelCase, and terms are keys of spec.crl.weights.
GuardedTerm = Annotated[
    str,
    Field(max_length=32),
    matching("|".join(TERMS), f"must be a term of the CRL: {', '.join(TERMS)}"),
]
# Not {{...}}: a manifest often passes through a template engine that would take it for its own.
PromQL = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    matching(
        rf"([^$]|\$+[^$(]|\$+\(({'|'.join(PLACEHOLDERS)})\))*\$*",
        f"must have no placeholder but {', '.join(f'$({one})' for one in PLACEHOLDERS)}",
    ),
]
GuardrailName = Annotated[
    Name,
    Rule(
        rule=f"!(self in [{', '.join(repr(one) for one in _OTHER_CULPRITS)}])",
        message="must not be loss or a term: these name other culprits",
        holds=lambda name: name not in _OTHER_CULPRITS,
    ),
]


class Immediate(Model):
    """Roll back on a count of breaches, without waiting for a test."""

    max_count: Annotated[Integer, Field(ge=0, le=1_000_000)]
    """How many breaches of the candidate are borne; the next one rolls back. A breach is a run
    that reported the term above the tolerance; a term that a run did not report is none."""


class Guardrail(Model):
    """What must not get worse: a term of the CRL, or a figure that Prometheus tells."""

    term: GuardedTerm | None = None
    """The term; the doer's CRL must weigh it. A run that does not report it counts 1. Only with
    source RunLog."""
    # No schema defaults: they would stand in guardrails that have a query, and mean nothing there.
    tolerance: Fraction | None = None
    """How much worse than control's the candidate's mean of the term may be before that tells for
    roll-back, 0 to 1. Absent: 0. Only with term."""
    margin: OpenFraction | None = None
    """Promotion needs the candidate's mean of the term shown not to be worse by this or more; a
    decimal between 0 and 1, both excluded. Absent: 0.05. Only with term."""
    immediate: Immediate | None = None
    """Roll back on a count of breaches. Absent: never. It stands outside rollback.level: a
    candidate that is no worse than control can breach as well. Only with term."""
    name: GuardrailName | None = None
    """What the query watches, e.g. p95; it is named as the culprit. Only with promQL."""
    prom_ql: PromQL | None = Field(default=None, alias="promQL")
    """A query that answers with one figure of the candidate, asked at each evidence tick. Of
    several series, those count whose labels namespace, doer, canary and policy, where they carry
    them, are the candidate's. $(namespace), $(doer), $(canary), $(candidate) and $(control) are
    replaced by names; without them, one query serves all canaries."""
    max: Decimal | None = None
    """The largest answer that is well. Three answers above it in a row, about a tick apart each,
    roll back; while the last one was above it, or there is none, nothing goes up. Only with
    promQL."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="has(self.term) != has(self.promQL)",
            message="must have either term or promQL",
            holds=lambda it: (it.term is None) != (it.prom_ql is None),
        ),
        Rule(
            rule="has(self.name) == has(self.promQL) && has(self.max) == has(self.promQL)",
            message="must have name, promQL and max together",
            holds=lambda it: (it.name is None) == (it.prom_ql is None) == (it.max is None),
        ),
        Rule(
            rule="!has(self.promQL) || "
            "!(has(self.tolerance) || has(self.margin) || has(self.immediate))",
            message="must have no tolerance, margin or immediate with promQL: max is its bound",
            holds=lambda it: it.prom_ql is None or not (it.tolerance or it.margin or it.immediate),
        ),
    )

    @property
    def key(self) -> str:
        """What it is called where a culprit is named."""
        return self.term or self.name or ""


Guardrails = Annotated[
    tuple[Guardrail, ...],
    Field(max_length=9),
    ATOMIC,
    Rule(
        rule="self.all(x, !has(x.term) || self.exists_one(y, has(y.term) && y.term == x.term)) && "
        "self.all(x, !has(x.name) || self.exists_one(y, has(y.name) && y.name == x.name))",
        message="must name each term and each query once",
        holds=lambda items: len({it.key for it in items}) == len(items),
    ),
]


class QueryStatus(StatusModel):
    """Where one guardrail on a PromQL query stands."""

    name: Annotated[str, Field(max_length=63)]
    """The guardrail's name."""
    max: Number
    """The largest answer that is well."""
    value: Number | None = None
    """The answer at the last look; absent where there was none that could be used."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """Why there is no value, in one CamelCase word: NoData, NotANumber, AmbiguousSeries, ..."""
    breaches: Annotated[Integer, Field(ge=0)] = 0
    """How many answers in a row were above max; 3 roll back. No answer changes nothing."""
    breach_time: datetime | None = None
    """When the last of them was evaluated, by Prometheus' clock."""


@dataclass(frozen=True, kw_only=True)
class TermGuardrail:
    """A guardrail on a term, what is absent filled in. `borne` (None: any number) are breaches."""

    term: str
    tolerance: float
    margin: float
    borne: int | None


@dataclass(frozen=True, kw_only=True)
class QueryGuardrail:
    """A guardrail on a query. `most` is the largest answer that is well."""

    name: str
    promql: str
    most: float


def on_terms(guardrails: Iterable[Guardrail]) -> tuple[TermGuardrail, ...]:
    """Those on a term, in their order."""
    return tuple(
        TermGuardrail(
            term=it.term,
            tolerance=float(it.tolerance or _DEFAULT_TOLERANCE),
            margin=float(it.margin or _DEFAULT_MARGIN),
            borne=None if it.immediate is None else it.immediate.max_count,
        )
        for it in guardrails
        if it.term is not None
    )


def on_queries(guardrails: Iterable[Guardrail]) -> tuple[QueryGuardrail, ...]:
    """Those on a query, in their order."""
    return tuple(
        QueryGuardrail(name=it.name, promql=it.prom_ql, most=float(it.max))
        for it in guardrails
        if it.name is not None and it.prom_ql is not None and it.max is not None
    )
