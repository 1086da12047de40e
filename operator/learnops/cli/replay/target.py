"""The other yardstick: weights alone, or a whole Doer."""

from argparse import Namespace
from dataclasses import dataclass
from math import isfinite

from learnops.cli.inputs import InputError
from learnops.cli.scored import Scorer
from learnops.domain.crl.terms import InvalidMetric, Term
from learnops.domain.crl.yardstick import Budget, ExtraTerm, Weights, Yardstick, Yardsticks

TERMS = tuple(term.value for term in Term)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What runs are scored by now.

    Attributes:
        whole: a Doer, whose budgets and extra terms hold too; otherwise those of the past stay.
    """

    yardsticks: Yardsticks
    whole: bool

    @property
    def tenants(self) -> tuple[str, ...]:
        """Who has weights of its own."""
        return tuple(self.yardsticks.by_tenant)

    @property
    def extra(self) -> tuple[ExtraTerm, ...]:
        """Its extra terms."""
        return self.yardsticks.base.extra

    @property
    def budget(self) -> Budget:
        """Its budgets."""
        return self.yardsticks.base.budget

    @property
    def terms(self) -> tuple[str, ...]:
        """All that may be reported: the nine, then the extra ones."""
        return (*TERMS, *(it.name for it in self.extra))

    @property
    def in_use(self) -> tuple[str, ...]:
        """Terms with a weight for somebody."""
        every = (self.yardsticks.base, *self.yardsticks.by_tenant.values())
        used = {name for it in every for name, weight in it.weights.by_term.items() if weight > 0}
        return tuple(name for name in self.terms if name in used)


def target_of(arguments: Namespace) -> Target:
    """From `--weights` or `--doer`. Raises InputError."""
    if arguments.doer_file is not None:
        scorer = Scorer.of(arguments.doer_file)
        return Target(yardsticks=scorer.yardsticks, whole=True)
    weights = weights_of(arguments.weights)
    return Target(yardsticks=Yardsticks(base=Yardstick(weights=weights)), whole=False)


def weights_of(text: str) -> Weights:
    """From `grounding=1,contradictions=0.5`. Raises InputError naming the part."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        if not sign:
            raise InputError(f"--weights: {part!r:.60}: must be TERM=WEIGHT, e.g. grounding=1")
        if name not in TERMS:
            known = ", ".join(TERMS)
            raise InputError(
                f"--weights: {name!r:.60} is none of the nine terms ({known}); "
                "for terms of your own give the whole Doer with --doer"
            )
        if name in found:
            raise InputError(f"--weights: {name} must be there once")
        found[name] = _number(name, value)
    try:
        return Weights(by_term=found)
    except InvalidMetric as error:
        raise InputError(f"--{error}") from error


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"--weights: {name}: {text!r:.40} must be a number, e.g. 0.5")
    return value
