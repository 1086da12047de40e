"""The ramp: at most one step per step interval, and only on evidence or on time."""

from datetime import datetime, timedelta

from learnops.api.rollout import Gate
from learnops.domain.arms import steps_of
from learnops.domain.observed import RouteReading
from learnops.domain.planner import slots
from learnops.domain.planner.decision import Decision, StepUp
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import crossed, e_value_short
from learnops.domain.planner.traffic import percents_of


def next_step(live: Live) -> tuple[int, int] | None:
    """Index and percentage of the step above the present share; None at the last."""
    for index, percent in enumerate(steps_of(live.canary)):
        if percent > live.percent:
            return index, percent
    return None


def due(live: Live) -> datetime | None:
    """When the step interval has passed; None while the step in force is not counted yet."""
    if live.status.step_time is None:
        return None
    return live.status.step_time + timedelta(seconds=live.canary.spec.strategy.canary.step_seconds)


def step_up(live: Live) -> Decision | None:
    """The next share: the interval has passed and, with an Evidence gate, the ramp test decided."""
    following, interval_end = next_step(live), due(live)
    if following is None or interval_end is None or live.draft.now < interval_end:
        return None
    index, percent = following
    reading = live.reading
    if live.canary.spec.strategy.canary.gate is Gate.TIMED:
        return StepUp(index=index, percent=percent, message=f"{percent} %: the interval has passed")
    if reading is None or reading.ramp is None or not crossed(reading.ramp):
        return None
    why = f"not much worse (e-value {e_value_short(reading.ramp)})"
    return StepUp(index=index, percent=percent, message=f"{percent} %: {why}")


def waiting(live: Live, following: tuple[int, int]) -> str:
    """What the next step waits for, as a part of a sentence."""
    percent, interval_end, reading = following[1], due(live), live.reading
    if interval_end is not None and live.draft.now < interval_end:
        return f"{percent} % not before {interval_end:%Y-%m-%d %H:%M:%S} UTC"
    if reading is None or reading.ramp is None:
        return f"{percent} % next"
    ramp = reading.ramp
    return f"{percent} % at e-value {e_value_short(ramp)} of {ramp.threshold:.1f}"


def in_words(live: Live) -> str:
    """The shares in force; with several candidates each is named."""
    if not live.several or live.draft.status.traffic is None:
        return f"{live.percent} %"
    percents = percents_of(live.draft.status.traffic)
    return ", ".join(f"{name} {percent} %" for name, percent in percents.items())


def count_step(live: Live) -> None:
    """Mirror the shares; with a gateway the interval begins when its parents accepted the weights.

    Fires whenever the shares moved and the canary's status does not say so.
    """
    draft, traffic, status = live.draft, live.draft.status.traffic, live.status
    if traffic is None or (status.shares == traffic.shares and status.step_time is not None):
        return
    steps, farthest = steps_of(live.canary), max(percents_of(traffic).values(), default=0)
    index = steps.index(farthest) if farthest in steps else status.step
    name, in_force = live.canary.metadata.name, _in_force(live)
    step_time = draft.now if in_force else None
    draft.set_canary(name, shares=traffic.shares, step=index, step_time=step_time)
    if in_force:
        draft.fire("count-step", f"{name}: {in_words(live)} in force")
        draft.look_again()


def _in_force(live: Live) -> bool:
    draft = live.draft
    traffic, route = draft.status.traffic, draft.snap.route
    if traffic is None or not slots.by_gateway(draft.doer):
        return True
    if not isinstance(route, RouteReading) or not route.accepted:
        return False
    return slots.weights(draft.doer, traffic) == tuple(slot.weight for slot in route.slots)
