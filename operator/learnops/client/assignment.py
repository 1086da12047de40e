"""What one run was given."""

from dataclasses import dataclass

from learnops.client.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A policy, and how the run came to it.

    Attributes:
        policy: name and content.
        arm: `control` or `candidate`.
        propensity: π, the probability of a candidate (of any of several) when the run was drawn;
            0: no evidence.
        revision: of the traffic that it was drawn from; 0 where none was known.
        rollout: id of the rollout whose evidence the run is, None for none.
        run_id: the run that was registered with it (a unit keeps its arm over several runs).
    """

    policy: Policy
    arm: str
    propensity: float
    revision: int
    rollout: str | None
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The api's answer to a registration: the arm and π that the run's unit has.

    `registered` is False where nothing was written: no canary is live, or π is 0 or 1.
    """

    run_id: str
    arm: str
    policy: str
    propensity: float
    rollout: str | None
    revision: int
    registered: bool
