"""Changes of `Doer.status.traffic`, all that is served. Each raises the revision by one."""

from collections.abc import Mapping

from learnops.api.assignment import Assignment, ServedUnit, Unit
from learnops.api.canary import CanaryDeployment, CanaryStage, CanaryStatus
from learnops.api.served import Share, TrafficStatus
from learnops.domain.arms import candidate_shares, candidates_of, start_of
from learnops.domain.attempt import salt_of

WITH_TRAFFIC = (CanaryStage.SHADOW, CanaryStage.CANARY)


def holds(traffic: TrafficStatus | None, canary: CanaryDeployment, status: CanaryStatus) -> bool:
    """Whether this very attempt of the canary has traffic (not one of the same name before it)."""
    if traffic is None or traffic.canary != canary.metadata.name:
        return False
    return traffic.salt == salt_of(canary, status)


def candidate_percent(traffic: TrafficStatus | None) -> int:
    """The share of all candidates together; 0 without one."""
    return sum(share.percent for share in candidate_shares(traffic))


def percents_of(traffic: TrafficStatus) -> dict[str, int]:
    """Each candidate's share."""
    return {share.policy: share.percent for share in candidate_shares(traffic)}


def in_shadow(traffic: TrafficStatus | None) -> bool:
    """Whether a candidate runs beside control and has no share yet."""
    return traffic is not None and traffic.shadow is not None


def stage_of(traffic: TrafficStatus | None) -> CanaryStage:
    """The stage of the canary that traffic names."""
    return CanaryStage.SHADOW if in_shadow(traffic) else CanaryStage.CANARY


def first(*, active: str, revision: int) -> TrafficStatus:
    """All runs to one policy."""
    return TrafficStatus(
        revision=revision, active=active, shares=(Share(policy=active, percent=100),)
    )


def control_only(traffic: TrafficStatus) -> TrafficStatus:
    """All runs to the active policy; the salt of the last rollout is kept."""
    return settled_on(traffic, active=traffic.active, backend=traffic.active_backend)


def settled_on(traffic: TrafficStatus, *, active: str, backend: str | None) -> TrafficStatus:
    """All runs to a (new) active policy, on the slot that carries it."""
    new = traffic.model_copy(
        update={
            "active": active,
            "canary": None,
            "assignment": None,
            "shadow": None,
            "shares": (Share(policy=active, percent=100),),
            "active_backend": backend,
        }
    )
    return _risen(traffic, new)


def drawn_for(traffic: TrafficStatus, assignment: Assignment) -> TrafficStatus:
    """The traffic of a canary that starts now: its unit is fixed, whatever spec says later."""
    unit = ServedUnit(unit=assignment.unit, epoch_seconds=assignment.epoch_seconds)
    plain = assignment.unit is Unit.RUN
    return traffic.model_copy(update={"assignment": None if plain else unit})


def with_candidates(
    traffic: TrafficStatus, canary: CanaryDeployment, *, salt: str, percents: Mapping[str, int]
) -> TrafficStatus:
    """A share for each of these candidates in its own region, the rest for control."""
    shares = tuple(
        Share(policy=name, percent=percents[name], start=start_of(canary, name))
        for name in candidates_of(canary)
        if name in percents
    )
    control = Share(policy=traffic.active, percent=100 - sum(it.percent for it in shares))
    update = {
        "canary": canary.metadata.name,
        "salt": salt,
        "shadow": None,
        "shares": (control, *shares),
    }
    return _risen(traffic, traffic.model_copy(update=update))


def with_shadow(traffic: TrafficStatus, *, canary: str, salt: str, candidate: str) -> TrafficStatus:
    """All answers from control, with the candidate beside it; the unit is kept for its shares."""
    new = control_only(traffic).model_copy(
        update={
            "canary": canary,
            "salt": salt,
            "shadow": candidate,
            "assignment": traffic.assignment,
            "revision": traffic.revision,
        }
    )
    return _risen(traffic, new)


def _risen(old: TrafficStatus, new: TrafficStatus) -> TrafficStatus:
    return new if _served(old) == _served(new) else _next(new)


def _served(traffic: TrafficStatus) -> tuple[object, ...]:
    """What the schema lets change with a higher revision only."""
    return traffic.shares, traffic.active, traffic.salt, traffic.canary, traffic.shadow


def _next(traffic: TrafficStatus) -> TrafficStatus:
    return traffic.model_copy(update={"revision": traffic.revision + 1})
