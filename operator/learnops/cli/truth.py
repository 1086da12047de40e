"""What is true of simulated policies, and the bundle of a run with a given loss."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite, log
from pathlib import Path
from random import Random
from typing import Any

import yaml

from learnops.domain.crl.terms import (
    API_BREAKAGES_SCALE,
    CONTRADICTIONS_SCALE,
    SECURITY_CRITICALS_SCALE,
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
    """

    loss: float
    spread: float = 0.1
    seconds: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.0
    crash: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                raise TruthError(f"{field.name} is {value!r}, not a number")
            if value < 0:
                raise TruthError(f"{field.name} is {value}; use 0 or more")
        if not 0 < self.loss < 1:
            raise TruthError(f"loss is {self.loss}; use a number between 0 and 1")
        if self.spread**2 >= self.loss * (1 - self.loss):
            raise TruthError(f"spread is {self.spread}; no loss in [0, 1] has one so large")
        if self.slow + self.crash > 1:
            raise TruthError("slow and crash are shares of all runs; together at most 1")

    def draw(self, random: Random) -> float:
        """The loss of one run that neither crashes nor fails slowly."""
        if self.spread == 0:
            return self.loss
        concentration = self.loss * (1 - self.loss) / self.spread**2 - 1
        return random.betavariate(self.loss * concentration, (1 - self.loss) * concentration)


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


def bundle_of(loss: float, random: Random) -> Mapping[str, Any]:
    """Arguments of `Run.finish` for a run whose every term is `loss`.

    So the CRL over the sum of its weights is the loss too, whatever the doer's weights. Only the
    term that is a yes or no is drawn, with that mean.
    """
    count = -log(1 - min(loss, _WORST_COUNTABLE))
    return {
        "metrics": {
            "gatePassRate": 1 - loss,
            "contradictions": CONTRADICTIONS_SCALE * count,
            "grounding": 1 - loss,
            "latencyP95Milliseconds": _BUDGET_MILLISECONDS * (1 + loss),
            "securityCriticals": SECURITY_CRITICALS_SCALE * count,
            "apiBreakages": API_BREAKAGES_SCALE * count,
            "dbMigrationFail": random.random() < loss,
            "ragCoverage": 1 - loss,
        },
        "costs": {"costUSD": _BUDGET_USD * (1 + loss)},
        "budget": {"maxCostUSD": _BUDGET_USD, "maxDurationMilliseconds": _BUDGET_MILLISECONDS},
    }
