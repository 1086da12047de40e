"""The unit of assignment: what keeps one arm, and of which one observation is made."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from learnops.api.common import Integer, Model, Rule, StatusModel


class Unit(StrEnum):
    """What an arm is drawn for."""

    RUN = "Run"
    SESSION = "Session"
    TENANT_EPOCH = "TenantEpoch"


def _epoch_with_its_unit(assignment: "Assignment") -> bool:
    return (assignment.unit is Unit.TENANT_EPOCH) == (assignment.epoch_seconds is not None)


class Assignment(Model):
    """For what an arm is drawn. A canary that is live keeps what it began with."""

    unit: Unit = Unit.RUN
    """Run: each run. Session: the runs of a session; their mean loss within maturationSeconds of
    the first is one observation. TenantEpoch: the runs of a tenant in an epoch, likewise."""
    epoch_seconds: Annotated[Integer, Field(ge=1, le=604800)] | None = None
    """How long a tenant keeps its arm before it is drawn anew; only with TenantEpoch."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="(self.unit == 'TenantEpoch') == has(self.epochSeconds)",
            message="must be given with unit TenantEpoch and with no other, e.g. 86400",
            field_path=".epochSeconds",
            holds=_epoch_with_its_unit,
        ),
    )


class ServedUnit(StatusModel):
    """For what arms are drawn while a canary is live, as it was at the canary's start."""

    unit: Unit
    """Session or TenantEpoch."""
    epoch_seconds: Annotated[Integer, Field(ge=1, le=604800)] | None = None
    """The length of an epoch; only with TenantEpoch."""
