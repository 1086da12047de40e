"""What runs reported, by the budgets and caps of the other yardstick."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.adapters.postgres import whatif as log
from learnops.adapters.postgres.whatif import Column
from learnops.cli.replay.target import TERMS, Target
from learnops.domain.crl.columns import Floats, over_budget_column
from learnops.domain.crl.terms import Term

# The term, the columns of what was spent and of the run's own budget, where the bundle has them.
OVER_BUDGET = (
    (Term.COST_OVER_BUDGET, "spent USD", "own USD", ("costs", "costUSD"), "maxCostUSD"),
    (
        Term.LATENCY_P95,
        "spent ms",
        "own ms",
        ("metrics", "latencyP95Milliseconds"),
        "maxDurationMilliseconds",
    ),
)


def value_columns(target: Target) -> list[Column]:
    """What the runs reported, where the other yardstick reads it anew from their bundles."""
    if not target.whole:
        return []
    found = []
    for _, spent, own, path, budget in OVER_BUDGET:
        found.append(log.bundle_column(spent, *path))
        found.append(log.bundle_column(own, "budget", budget))
    for term in target.extra:
        found.append(log.term_column(term.name))
        found.append(log.bundle_column(f"metric {term.name}", "metrics", term.metric))
    return found


def values_of(piece: NDArray[Any], target: Target) -> dict[str, Floats]:
    """Each term by the other yardstick's budgets and caps; as it was scored where the bundle does
    not tell any more what it was made of."""
    found = {name: floats(piece, name) for name in TERMS}
    if not target.whole:
        return found
    budgets = (target.budget.cost_usd, target.budget.latency_milliseconds)
    for (term, spent, own, _, _), fallback in zip(OVER_BUDGET, budgets, strict=True):
        told, budget = floats(piece, spent), floats(piece, own)
        budget = np.where(np.isnan(budget), np.nan if fallback is None else fallback, budget)
        found[term.value] = np.where(
            np.isnan(told), found[term.value], over_budget_column(told, budget)
        )
    for extra in target.extra:
        metric = floats(piece, f"metric {extra.name}")
        with np.errstate(over="ignore"):
            anew = np.minimum(metric / extra.cap, 1.0)
        found[extra.name] = np.where(np.isnan(metric), floats(piece, extra.name), anew)
    return found


def floats(piece: NDArray[Any], name: str) -> Floats:
    """A column, as the computer adds it up."""
    return piece[name].astype(np.float64)
