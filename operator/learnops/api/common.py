"""What all custom resources share: the base model, references, conditions, schema markers.

Python names are snake_case, the wire is camelCase: `to_wire()` and `model_validate` translate.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "learnops.dev"
VERSION = "v1alpha1"
API_VERSION: Literal["learnops.dev/v1alpha1"] = "learnops.dev/v1alpha1"
CATEGORY = "learnops"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One CEL rule of the schema (`x-kubernetes-validations`); `message` begins with "must"."""

    rule: str
    message: str
    field_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListType:
    """`x-kubernetes-list-type` of a list field; `keys` only where `kind` is "map"."""

    kind: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PrinterColumn:
    """One column of `kubectl get`; `priority` 1 shows it with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


ATOMIC = ListType(kind="atomic")
SET = ListType(kind="set")


class Model(BaseModel):
    """Base of everything a user writes: unknown fields are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

    def to_wire(self) -> dict[str, Any]:
        """The JSON form: camelCase, without unset optionals."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of everything the operator writes: a newer operator's fields are let through unread."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


# A resource's name where another refers to it: an RFC 1123 label, so that it fits a metric label.
Name = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
# Decimals as strings: no floats in spec, so that every client reads the same number.
Fraction = Annotated[
    str, Field(min_length=1, max_length=8, pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$")
]
OpenFraction = Annotated[str, Field(min_length=3, max_length=8, pattern=r"^0\.[0-9]{1,6}$")]
Decimal = Annotated[
    str, Field(min_length=1, max_length=16, pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")
]


class Ref(Model):
    """A reference to an object of the same namespace."""

    name: Name


class ConditionStatus(StrEnum):
    """Value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """`metav1.Condition`."""

    type: Annotated[str, Field(max_length=64)]
    status: ConditionStatus
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9]*)$")]
    message: Annotated[str, Field(max_length=1024)] = ""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    last_transition_time: datetime


Conditions = Annotated[
    tuple[Condition, ...], Field(max_length=16), ListType(kind="map", keys=("type",))
]


class ObjectMeta(BaseModel):
    """The part of `metav1.ObjectMeta` that the operator reads."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )
    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
