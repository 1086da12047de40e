"""How a doer's reward weighs the signals of its runs."""

from typing import ClassVar

from learnops.api.common import Decimal, Model, Rule

SIGNALS = ("compile", "tests", "errors", "human")


def _any_weight(weights: "RewardWeights") -> bool:
    return any(float(weight) > 0 for weight in weights.to_wire().values())


class RewardWeights(Model):
    """Weight of each signal, a decimal as text; one that is left out has weight 0."""

    compile: Decimal | None = None
    """Whether what the run made builds: 1 the best."""
    tests: Decimal | None = None
    """Share of the tests that passed: 1 the best."""
    errors: Decimal | None = None
    """Share of its steps that failed: 0 the best."""
    human: Decimal | None = None
    """What people think of it, such as a thumb or a merged pull request: 1 the best."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="["
            + ", ".join(f"self.?{signal}.orValue('0')" for signal in SIGNALS)
            + "].exists(weight, weight.matches('[1-9]'))",
            message='must give at least one signal a weight above "0"',
            holds=_any_weight,
        ),
    )


class RewardSpec(Model):
    """How good a run's work was, by what was checked in it and after it."""

    weights: RewardWeights
    """Weight of each signal. The reward is the weighted mean of the signals that a run has; one
    that is absent leaves its weight out, and a run without any has no reward."""
