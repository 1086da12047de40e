"""What is served: all that the SDK's snapshot is made of."""

from typing import Annotated, ClassVar

from pydantic import Field

from learnops.api.assignment import ServedUnit
from learnops.api.common import Integer, ListType, Name, Rule, StatusModel


class Share(StatusModel):
    """The percentage of runs that are assigned to a policy."""

    policy: Name
    """The policy."""
    percent: Annotated[Integer, Field(ge=0, le=100)]
    """Its percentage of runs."""
    start: Annotated[Integer, Field(ge=1, le=99)] | None = None
    """Where its region on the hash line begins, in percent: with several candidates each grows in
    its own. Absent: 0, and for control, which has what the candidates leave."""


class TrafficStatus(StatusModel):
    """All that the SDK's snapshot is made of; its revision only rises."""

    revision: Annotated[Integer, Field(ge=1)]
    """Rises with each change of traffic; a router refuses a lower one."""
    salt: Annotated[str, Field(max_length=64)] = ""
    """Keys the hash that draws arms and is the id of the rollout in the run log: the canary's UID,
    a dot, and the number of its Retry actions. Empty while no canary is live."""
    active: Name
    """The policy that is control."""
    canary: Name | None = None
    """The CanaryDeployment whose candidates have shares, or whose candidate runs in shadow; absent
    while none has."""
    shares: Annotated[
        tuple[Share, ...], Field(min_length=1, max_length=6), ListType(kind="map", keys=("policy",))
    ]
    """Which part of the runs each policy gets; together 100. Control is the first."""
    assignment: ServedUnit | None = None
    """What an arm is drawn for; absent: each run."""
    shadow: Name | None = None
    """In the shadow stage of `canary`: the candidate, which answers nobody and runs a second time
    on what a run of control was given. Absent else."""
    active_backend: Name | None = None
    """With GatewayAPI: the backend that carries the active policy; the other is the candidate's."""
    routed_revision: Annotated[Integer, Field(ge=0)] = 0
    """With GatewayAPI: the last revision whose weights were seen in the route. A difference at a
    later revision is the operator's own unfinished change, at this one somebody else's edit."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.shares.map(share, share.percent).sum() == 100",
            message="must have shares that are 100 percent together",
            field_path=".shares",
            holds=lambda traffic: sum(share.percent for share in traffic.shares) == 100,
        ),
        Rule(
            rule="self.revision >= oldSelf.revision",
            message="must not be lower than before: routers refuse an older revision",
            field_path=".revision",
        ),
        # Not the two fields about a gateway's route: they tell what was seen, and nothing served
        # changes with them.
        Rule(
            rule="self.revision != oldSelf.revision || (self.active == oldSelf.active"
            " && self.shares == oldSelf.shares && has(self.salt) == has(oldSelf.salt)"
            " && (!has(self.salt) || self.salt == oldSelf.salt)"
            " && has(self.canary) == has(oldSelf.canary)"
            " && (!has(self.canary) || self.canary == oldSelf.canary)"
            " && has(self.shadow) == has(oldSelf.shadow)"
            " && (!has(self.shadow) || self.shadow == oldSelf.shadow))",
            message="must be higher than before when what is served changes",
            field_path=".revision",
        ),
    )
