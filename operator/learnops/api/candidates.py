"""The candidates of a canary: how many there may be, and how several are judged."""

from typing import Annotated, Protocol

from pydantic import Field

from learnops.api.common import ATOMIC, Ref, Rule
from learnops.api.rollout import Analysis, Method, Source, Strategy

MOST_CANDIDATES = 5

# Atomic: the order is that of their regions, which server-side apply must not mix.
Candidates = Annotated[
    tuple[Ref, ...],
    Field(min_length=1, max_length=MOST_CANDIDATES),
    ATOMIC,
    Rule(
        rule="self.all(x, self.exists_one(y, y.name == x.name))",
        message="must name each candidate once",
        holds=lambda refs: len({ref.name for ref in refs}) == len(refs),
    ),
]


class _Judged(Protocol):
    @property
    def candidate_refs(self) -> tuple[Ref, ...]: ...
    @property
    def analysis(self) -> Analysis: ...


def _by_run_log(of: _Judged) -> bool:
    if len(of.candidate_refs) == 1:
        return True
    analysis = of.analysis
    return analysis.source is Source.RUN_LOG and analysis.method in (None, Method.ANYTIME)


# Counters tell two arms apart, and one look compares two means.
SEVERAL_BY_RUN_LOG = Rule(
    rule="self.candidateRefs.size() == 1 || "
    "(self.?analysis.?source.orValue('RunLog') == 'RunLog' && "
    "self.?analysis.?method.orValue('Anytime') == 'Anytime')",
    message="must be Anytime with source RunLog with more than one candidate",
    field_path=".analysis",
    holds=_by_run_log,
)


class _Strategic(_Judged, Protocol):
    @property
    def strategy(self) -> Strategy: ...


def _without_shadow(of: _Strategic) -> bool:
    return len(of.candidate_refs) == 1 or of.strategy.shadow is None


# A pair is one run of control and one of a candidate: which of them it is for would have to be
# drawn, and the first share of all would wait for the last of them.
SEVERAL_WITHOUT_SHADOW = Rule(
    rule="self.candidateRefs.size() == 1 || !has(self.strategy) || !has(self.strategy.shadow)",
    message="must be left out with more than one candidate: try them in shadow one by one",
    field_path=".strategy.shadow",
    holds=_without_shadow,
)
