"""What is true of simulated policies, and the bundle of a run with a given loss."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite, log
from pathlib import Path
from random import Random
from typing import Any

import yaml

from learnops.domain.crl.terms import (
    API_BREAKAGES_SCALE,
    CONTRADICTIONS_SCALE,
    SECURITY_CRITICALS_SCALE,
    Term,
)

_WORST_COUNTABLE = 0.999  # a count that stands for a term of 1 would be infinite
_BUDGET_USD = 1.0
_BUDGET_MILLISECONDS = 1000.0


class TruthError(ValueError):
    """The truth file is missing or malformed; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTruth:
    """What runs of one policy are like.

    Attributes:
        loss: mean loss, above 0 and below 1.
        spread: standard deviation of the loss; a beta distribution has these two.
        seconds: how long a run takes.
        slow: share of runs that fail, and take `slow_seconds` for it.
        slow_seconds: how long these take.
        crash: share of runs that are never reported.
        terms: mean of a term by its name, where it is not the loss: what a CRL of many terms hides.
    """

    loss: float
    spread: float = 0.1
    seconds: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.0
    crash: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name != "terms":
                _check_number(one.name, getattr(self, one.name))
        self._check_mean("loss", self.loss)
        if self.slow + self.crash > 1:
            raise TruthError("slow and crash are shares of all runs; together at most 1")
        if not isinstance(self.terms, Mapping):
            raise TruthError("terms must be a map of terms to their means")
        for name, mean in self.terms.items():
            if name not in list(Term):
                raise TruthError(f"terms.{name} is unknown; known are {', '.join(Term)}")
            _check_number(f"terms.{name}", mean)
            self._check_mean(f"terms.{name}", mean)

    def _check_mean(self, name: str, mean: float) -> None:
        if not 0 < mean < 1:
            raise TruthError(f"{name} is {mean}; use a number between 0 and 1")
        if self.spread**2 >= mean * (1 - mean):
            raise TruthError(f"spread is {self.spread}; no {name} in [0, 1] has one so large")

    def draw(self, random: Random) -> float:
        """The loss of one run that neither crashes nor fails slowly."""
        return self._around(self.loss, random)

    def draw_terms(self, random: Random) -> Mapping[str, float]:
        """The terms of one run that are not its loss."""
        return {name: self._around(mean, random) for name, mean in self.terms.items()}

    def _around(self, mean: float, random: Random) -> float:
        if self.spread == 0:
            return mean
        concentration = mean * (1 - mean) / self.spread**2 - 1
        return random.betavariate(mean * concentration, (1 - mean) * concentration)


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TruthError(f"{name} is {value!r}, not a number")
    if value < 0:
        raise TruthError(f"{name} is {value}; use 0 or more")


def load_truth(path: Path) -> dict[str, PolicyTruth]:
    """The truth of each policy by name, from `policies: {NAME: {loss: …, spread: …}}`.

    Raises:
        TruthError: the file cannot be read, or a field is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TruthError(f"{path} cannot be read: {error}") from error
    policies = content.get("policies") if isinstance(content, dict) else None
    if not isinstance(policies, dict) or not policies:
        raise TruthError(f"{path} needs `policies`, a map of names to {{loss: 0.3, spread: 0.1}}")
    return {str(name): _policy(str(name), given) for name, given in policies.items()}


def _policy(name: str, given: Any) -> PolicyTruth:
    known = {field.name.replace("_s", "S"): field.name for field in fields(PolicyTruth)}
    if not isinstance(given, dict) or "loss" not in given:
        raise TruthError(f"policies.{name}.loss is missing")
    for key in given:
        if key not in known:
            raise TruthError(f"policies.{name}.{key} is unknown; known are {', '.join(known)}")
    try:
        return PolicyTruth(**{known[key]: value for key, value in given.items()})
    except TruthError as error:
        raise TruthError(f"policies.{name}.{error}") from error


def bundle_of(
    loss: float, random: Random, *, terms: Mapping[str, float] | None = None
) -> Mapping[str, Any]:
    """Arguments of `Run.finish` for a run whose every term is `loss`, but for those of `terms`.

    Without these the CRL over the sum of its weights is the loss too, whatever the doer's weights.
    Only the term that is a yes or no is drawn, with that mean.
    """
    of = dict.fromkeys(Term, loss) | {Term(name): value for name, value in (terms or {}).items()}
    return {
        "metrics": {
            "gatePassRate": 1 - of[Term.GATE_PASS_RATE],
            "contradictions": CONTRADICTIONS_SCALE * _count(of[Term.CONTRADICTIONS]),
            "grounding": 1 - of[Term.GROUNDING],
            "latencyP95Milliseconds": _BUDGET_MILLISECONDS * (1 + of[Term.LATENCY_P95]),
            "securityCriticals": SECURITY_CRITICALS_SCALE * _count(of[Term.SECURITY_CRITICALS]),
            "apiBreakages": API_BREAKAGES_SCALE * _count(of[Term.API_BREAKAGES]),
            "dbMigrationFail": random.random() < of[Term.DB_MIGRATION_FAIL],
            "ragCoverage": 1 - of[Term.RAG_COVERAGE],
        },
        "costs": {"costUSD": _BUDGET_USD * (1 + of[Term.COST_OVER_BUDGET])},
        "budget": {"maxCostUSD": _BUDGET_USD, "maxDurationMilliseconds": _BUDGET_MILLISECONDS},
    }


def _count(term: float) -> float:
    """What a term that falls off exponentially counts."""
    return -log(1 - min(term, _WORST_COUNTABLE))
