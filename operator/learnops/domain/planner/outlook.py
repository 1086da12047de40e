"""What people ask of a live canary besides the evidence: when it is decided, who wins, the cost.

None of it decides anything. Figures are some minutes old and rounded, so that a status does not
change with each of them.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil, floor, inf, log10

from learnops.domain.observed import FiguresReading
from learnops.domain.planner.conditions import LOW_TRAFFIC, Wanted, is_true, merged
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import decimal

_DAY_SECONDS = 86_400.0
_FARTHEST_DAYS = 3650.0
# A time is told to the coarsest of these that is no more than a tenth of the way to it.
_GRAINS_SECONDS = (86_400, 21_600, 3_600, 900, 300, 60)
# Once it is told that a canary will be too late, an estimate just before the deadline is no news.
_BACK_IN_TIME = 0.9


def figures_of(live: Live) -> dict[str, object]:
    """The figures as fields of the candidate's status; none where none are known yet."""
    figures = _figures(live)
    if figures is None:
        return {}
    win, cost = figures.win_rate, figures.cost_delta
    return {
        "runs_still_needed": rounded_runs(figures.runs_still_needed),
        "win_rate_percent": None if win is None else f"{100 * win:.1f}",
        "cost_delta": None if cost is None else decimal(cost),
    }


def decision_time(live: Live) -> datetime | None:
    """When the runs still needed will be there; None where that is not known, or they are."""
    figures = _figures(live)
    if figures is None:
        return live.status.estimated_decision_time
    days = _days(figures)
    return None if not days else rounded_time(figures.as_of, days * _DAY_SECONDS)


def in_a_sentence(live: Live) -> str:
    """For waitingFor; empty where nothing is forecast."""
    figures = _figures(live)
    if figures is None or not figures.runs_still_needed:
        return ""
    at = decision_time(live)
    when = "" if at is None else f", around {at:%Y-%m-%d %H:%M} UTC"
    return f"about {rounded_runs(figures.runs_still_needed)} more runs{when}"


def slowest(lives: tuple[Live, ...]) -> Live:
    """Whose decision is foreseen last: by then the canary is over, whoever wins it.

    One of whom nothing is foreseen stands before all others: unknown is never good.
    """
    return max(lives, key=_days_left)


def tell_traffic(lives: tuple[Live, ...]) -> None:
    """The condition LowTraffic, and an Event when it becomes true."""
    live = slowest(lives)
    wanted = _low_traffic(live)
    if wanted is None:
        return
    if live.several:
        wanted = replace(wanted, message=f"{live.candidate}: {wanted.message}")
    name, draft, old = live.canary.metadata.name, live.draft, live.status.conditions
    if wanted.true and not is_true(old, LOW_TRAFFIC):
        draft.fire("low-traffic", f"{name}: {wanted.message}")
        draft.event(live.canary, LOW_TRAFFIC, wanted.message, warning=True)
    generation = live.canary.metadata.generation
    draft.set_canary(name, conditions=merged(old, (wanted,), now=draft.now, generation=generation))


def _figures(live: Live) -> FiguresReading | None:
    return live.draft.snap.figures.get(live.candidate)


def _days_left(live: Live) -> float:
    figures = _figures(live)
    days = None if figures is None else _days(figures)
    return inf if days is None else days


def _days(figures: FiguresReading) -> float | None:
    """Until the runs are there; None: not known. At most ten years: nobody waits that long."""
    runs, per_day = figures.runs_still_needed, figures.runs_per_day
    return None if runs is None or per_day is None else min(runs / per_day, _FARTHEST_DAYS)


def _low_traffic(live: Live) -> Wanted | None:
    figures = _figures(live)
    if figures is None:
        return None
    if figures.runs_per_day is None:
        return _unknown("VolumeUnknown", _volume_unknown(figures))
    days = _days(figures)
    if days is None:
        return _unknown("NoForecast", "there is no evidence yet from which runs could be forecast")
    left = (live.deadline - figures.as_of) / timedelta(days=1)
    told = is_true(live.status.conditions, LOW_TRAFFIC)
    if days <= left * (_BACK_IN_TIME if told else 1.0):
        return Wanted(type=LOW_TRAFFIC, true=False, reason="InTime", message=_needs(figures))
    return Wanted(
        type=LOW_TRAFFIC,
        true=True,
        reason="BeyondDeadline",
        message=f"{_needs(figures)}, the deadline is {live.deadline:%Y-%m-%d %H:%M} UTC: "
        f"{_advice(figures)}",
    )


def _unknown(reason: str, message: str) -> Wanted:
    return Wanted(type=LOW_TRAFFIC, true=False, reason=reason, message=message, known=False)


def _volume_unknown(figures: FiguresReading) -> str:
    runs = rounded_runs(figures.runs_still_needed)
    known = "" if runs is None else f"about {runs} more runs; "
    return (
        f"{known}the doer reported too few runs in the last seven days (at least 10, over 10 "
        "minutes or more) to tell its volume, so no time is told"
    )


def _needs(figures: FiguresReading) -> str:
    runs, per_day, days = figures.runs_still_needed, figures.runs_per_day, _days(figures)
    if not runs or per_day is None or days is None:
        return "no more runs are needed"
    why = "" if figures.likely else " (no verdict is likely, the end at maxRuns)"
    return (
        f"about {rounded_runs(runs)} more runs{why} at {_two_digits(per_day)} a day "
        f"take {_span(days)}"
    )


def _advice(figures: FiguresReading) -> str:
    other = figures.other_steps
    if other is None:
        return (
            "no other steps are quicker: raise deadlineSeconds in a new rollout, or plan for fewer "
            "runs (maxRuns, promote.margin)"
        )
    steps = ", ".join(str(it) for it in other.steps)
    told = f"use steps [{steps}] in a new rollout, about {_span(other.days)}"
    return told if other.in_time else f"{told}, with a longer deadlineSeconds"


def rounded_runs(runs: int | None) -> int | None:
    """Two significant digits, upwards."""
    if not runs:
        return runs
    unit: int = 10 ** max(floor(log10(runs)) - 1, 0)
    return ceil(runs / unit) * unit


def rounded_time(start: datetime, seconds: float) -> datetime:
    """The instant `seconds` later, upwards to a grain that fits the distance, at least a minute."""
    fits = (it for it in _GRAINS_SECONDS if it <= seconds / 10.0)
    grain = next(fits, _GRAINS_SECONDS[-1])
    instant = start.timestamp() + seconds
    return datetime.fromtimestamp(ceil(instant / grain) * grain, tz=UTC)


def _span(days: float) -> str:
    """A duration in the unit in which it reads best."""
    for unit, name in ((1.0, "days"), (24.0, "hours")):
        if days * unit >= 2.0:
            return f"{_two_digits(days * unit)} {name}"
    return f"{_two_digits(days * 1440.0)} minutes"


def _two_digits(value: float) -> str:
    """Two significant digits; whole numbers as such."""
    if value < 10:
        return f"{value:.2g}"
    unit = 10 ** (floor(log10(value)) - 1)
    return f"{round(value / unit) * unit:.0f}"
