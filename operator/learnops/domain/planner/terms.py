"""Which terms count, and which of them nobody reports.

What runs report is read now and then for all doers together (`app.evidence.terms`); these rules
look at it in passes that happen anyway, and change nothing that a rollout with traffic goes by.
"""

from learnops.api.crl import CRLStatus, CRLWeights
from learnops.domain.crl.defaults import MIN_RUNS, OFTEN_PERCENT, missing
from learnops.domain.planner.candidate import obstacle, unweighed
from learnops.domain.planner.conditions import TERMS_MISSING, Wanted, find, merged
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.live import holder_of_traffic
from learnops.domain.planner.reports import default_weights_now, reported
from learnops.domain.planner.turn import holder
from learnops.domain.unavailable import Unavailable

_NEEDS_BUDGET = {"costOverBudget": "costUSD", "latencyP95": "latencyMilliseconds"}


def decide_weights(draft: Draft) -> bool:
    """Weights from what runs report, where the spec has none: once, and when a rollout starts.

    Never while a canary has traffic: its arms share the yardstick that was frozen with it. Only
    weights that were taken out of the spec meanwhile are decided then; a generation follows.
    """
    reading = reported(draft)
    found = default_weights_now(draft)
    if reading is None or not found:
        return False
    undecided = draft.scoring.weights is None
    if not undecided and not _about_to_start(draft):
        return False
    weights = CRLWeights.model_validate(found)
    told = draft.status.crl or CRLStatus()
    if told.weights == weights:
        return False
    why = (
        f"weight 1 for each term that at least {OFTEN_PERCENT} % of the last {reading.runs} runs "
        f"of {reading.policy} reported; spec.crl.weights sets others"
    )
    update = {"weights": weights, "why": clip(why, 512)}
    draft.set_doer(crl=told.model_copy(update=update))
    draft.fire("decide-weights", f"{', '.join(found)}: {why}")
    draft.event(draft.doer, "WeightsDecided", f"{', '.join(found)}: {why}")
    return True


def settle_terms(draft: Draft) -> None:
    """Forget weights that the spec has now; name the terms in use that nobody reports."""
    _forget(draft)
    reading = draft.snap.terms
    if isinstance(reading, Unavailable):
        if find(draft.status.conditions, TERMS_MISSING) is not None:
            reason, message = reading.reason.value, reading.message
            _show(
                draft,
                Wanted(type=TERMS_MISSING, true=False, known=False, reason=reason, message=message),
            )
        return
    known, in_use = reported(draft), _in_use(draft)
    if known is None or known.runs < MIN_RUNS or not in_use:
        return  # too little to say anything else than before
    told = draft.status.crl or CRLStatus()
    found = missing(in_use, told.missing, runs=known.runs, reported=known.reported)
    if found != told.missing:
        draft.set_doer(crl=told.model_copy(update={"missing": found}))
    _show(draft, _condition(draft, found))


def _about_to_start(draft: Draft) -> bool:
    """A canary will be prepared as soon as it is known by which weights.

    One that is prepared keeps them, unless they leave out what its guardrails are on.
    """
    canary = holder(draft)
    if canary is None or holder_of_traffic(draft) is not None:
        return False
    if draft.canaries[canary.metadata.name].candidates and not unweighed(draft, canary):
        return False
    return obstacle(draft, canary) is None


def _forget(draft: Draft) -> None:
    told = draft.status.crl
    if told is not None and told.weights is not None and draft.doer.spec.crl.weights is not None:
        draft.set_doer(crl=told.model_copy(update={"weights": None, "why": ""}))


def _in_use(draft: Draft) -> tuple[str, ...]:
    scoring = draft.scoring
    if scoring.weights is None:
        return ()
    weights = scoring.weights.to_wire() | {it.name: it.weight for it in scoring.extra_terms}
    return tuple(name for name, weight in weights.items() if float(weight))


def _condition(draft: Draft, found: tuple[str, ...]) -> Wanted:
    if not found:
        return Wanted(type=TERMS_MISSING, true=False, reason="Reported")
    names = ", ".join(found)
    one = len(found) == 1
    message = (
        f"{names}: not reported by the runs of {draft.active}, so {'it counts' if one else 'each'}"
        f"{'' if one else ' counts'} 1, the worst: report {'it' if one else 'them'}, or set "
        f'{"its" if one else "their"} weight to "0" in spec.crl{_budgets(draft, found)}'
    )
    return Wanted(type=TERMS_MISSING, true=True, reason="NeverReported", message=message)


def _budgets(draft: Draft, found: tuple[str, ...]) -> str:
    """A cost without any budget is no report."""
    budget = draft.doer.spec.crl.budget.to_wire()
    needed = [name for term, name in _NEEDS_BUDGET.items() if term in found and name not in budget]
    return "".join(f"; without spec.crl.budget.{name} what it takes is unknown" for name in needed)


def _show(draft: Draft, wanted: Wanted) -> None:
    conditions = merged(
        draft.status.conditions,
        (wanted,),
        now=draft.now,
        generation=draft.doer.metadata.generation,
    )
    draft.set_doer(conditions=conditions)
