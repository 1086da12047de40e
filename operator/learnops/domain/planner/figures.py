"""Whether a plan has anything to say but newer figures."""

from collections.abc import Sequence

from learnops.api.canary import CanaryStatus, CandidateStatus
from learnops.api.guardrails import QueryStatus
from learnops.domain.observed import Snapshot
from learnops.domain.plan import Action, WriteStatus
from learnops.domain.planner.conditions import LOW_TRAFFIC

_NO_LOSS = {"loss": None, "control_loss": None, "difference": None}


def figures_only(snapshot: Snapshot, actions: Sequence[Action]) -> bool:
    """True when all actions write a canary's status anew that differs in its figures alone.

    News of each block wakes the operator, so that a roll-back does not wait for a tick; without
    this, each piece of news would also be a write of counts that a person reads now and then.
    """
    stored = {it.metadata.name: it.status for it in snapshot.canaries}
    return bool(actions) and all(
        isinstance(action, WriteStatus)
        and isinstance(action.status, CanaryStatus)
        and _without_figures(action.status) == _without_figures(stored[action.name])
        for action in actions
    )


def _without_figures(status: CanaryStatus) -> CanaryStatus:
    """The status without what changes with every block: counts, losses, e-values, sentences."""
    bare = {
        "runs": 0,
        "control_runs": 0,
        **_NO_LOSS,
        "evidence": None,
        "runs_still_needed": None,
        "win_rate_percent": None,
        "cost_delta": None,
    }
    shadow, bare_shadow = status.shadow, {"pairs": 0, "harm": "1", **_NO_LOSS}
    told = {"message": "", "observed_generation": 0}
    return status.model_copy(
        update={
            "fence": 0,
            "waiting_for": "",
            "estimated_decision_time": None,
            "evidence_state": None,
            "sample_ratio": None,
            "shadow": None if shadow is None else shadow.model_copy(update=bare_shadow),
            "candidates": tuple(
                it.model_copy(update={**bare, "queries": _without_values(it)})
                for it in status.candidates
            ),
            # LowTraffic holds nothing: it is a figure in the form of a condition.
            "conditions": tuple(
                it.model_copy(update=told) for it in status.conditions if it.type != LOW_TRAFFIC
            ),
        }
    )


def _without_values(candidate: CandidateStatus) -> tuple[QueryStatus, ...]:
    """Breaches are no figures: they are counted in the status, so each is written at once."""
    return tuple(it.model_copy(update={"value": None}) for it in candidate.queries)
