"""What all custom resources share: the base model, references, conditions, schema markers.

Python names are snake_case, the wire is camelCase: `to_wire()` and `model_validate` translate.
The string under a field is its description: `kubectl explain` and docs/reference print it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, Strict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

GROUP = "learnops.dev"
VERSION = "v1alpha1"
API_VERSION: Literal["learnops.dev/v1alpha1"] = "learnops.dev/v1alpha1"
CATEGORY = "learnops"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One CEL rule of the schema (`x-kubernetes-validations`); `message` begins with "must".

    It stands in a model's `cel_rules` or, for one field, in its `Annotated`. `holds` is the same
    rule in Python, so that a manifest can be checked without an API server; a rule about a change
    (`oldSelf`) has none.
    """

    rule: str
    message: str
    field_path: str | None = None
    holds: Callable[[Any], bool] | None = None

    def check(self, value: Any) -> Any:
        """The value itself; raises ValueError with the message where the rule is broken."""
        if self.holds is not None and not self.holds(value):
            raise ValueError(self.message)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True, kw_only=True)
class ListType:
    """`x-kubernetes-list-type` of a list field; `keys` only where `kind` is "map".

    As the API server does, the model refuses an item twice in a set, and a key twice in a map.
    """

    kind: str
    keys: tuple[str, ...] = ()

    def check(self, items: Any) -> Any:
        """The items themselves; raises ValueError where one is there twice."""
        named = [self._name(item) for item in items] if self.kind != "atomic" else []
        if len(set(named)) != len(named):
            raise ValueError("must not have the same item twice")
        return items

    def _name(self, item: Any) -> Any:
        if self.kind == "set":
            return item
        fields = type(item).model_fields
        return tuple(getattr(item, name) for name in fields if fields[name].alias in self.keys)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class NoSchemaDefault:
    """Marks a field whose default the API server must not write into every object.

    For a default that has a meaning in some objects only.
    """


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
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.cel_rules:
            rule.check(self)
        return self

    def to_wire(self) -> dict[str, Any]:
        """The JSON form: camelCase, without unset optionals."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of everything the operator writes: a newer operator's fields are let through unread."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
    )


FENCED = Rule(
    rule="!has(oldSelf.fence) || (has(self.fence) && self.fence >= oldSelf.fence)",
    message="must not be lower than before: a newer operator instance wrote this status",
    field_path=".fence",
)

# As the API server has it: "5" is no number. (pydantic would take it for one.)
Integer = Annotated[int, Strict()]
# A resource's name where another refers to it: an RFC 1123 label, so that it fits a metric label.
Name = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]


def matching(pattern: str, message: str) -> Rule:
    """A rule for text instead of a schema `pattern`, whose message is the pattern itself."""
    compiled = re.compile(pattern)
    return Rule(
        rule=f"self.matches(r'^({pattern})$')",
        message=message,
        holds=lambda text: compiled.fullmatch(text) is not None,
    )


# Decimals as strings: no floats in spec, so that every client reads the same number.
Fraction = Annotated[
    str,
    Field(max_length=8),
    matching(
        r"0(\.[0-9]{1,6})?|1(\.0{1,6})?",
        'must be a decimal from 0 to 1 as text with at most 6 decimal places, e.g. "0.02"',
    ),
]
# Neither 0 nor 1: at level 0 no test could ever decide, at level 1 it would without evidence.
OpenFraction = Annotated[
    str,
    Field(max_length=8),
    matching(
        r"0\.[0-9]{0,5}[1-9][0-9]{0,5}",
        'must be a decimal above 0 and below 1 as text with at most 6 decimal places, e.g. "0.05"',
    ),
]
Decimal = Annotated[
    str,
    Field(max_length=16),
    matching(
        r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?",
        'must be a decimal of at least 0 as text with at most 6 decimal places, e.g. "1.5"',
    ),
]
# A decimal as text that the operator computed: floats are not portable in status either.
Number = Annotated[str, Field(max_length=32)]


class Ref(Model):
    """A reference to an object of the same namespace."""

    name: Name
    """Name of the object."""


class ConditionStatus(StrEnum):
    """Value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """`metav1.Condition`."""

    type: Annotated[str, Field(max_length=64)]
    """What the condition is about, e.g. Ready, Reconciling or Stalled."""
    status: ConditionStatus
    """Whether it is so: True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9]*)$")]
    """Why, in one CamelCase word that a program can act on."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why, in a sentence for a person."""
    observed_generation: Annotated[Integer, Field(ge=0)] = 0
    """metadata.generation of the object that the condition speaks of."""
    last_transition_time: datetime
    """When `status` last changed."""


Conditions = Annotated[
    tuple[Condition, ...], Field(max_length=16), ListType(kind="map", keys=("type",))
]


class ObjectMeta(BaseModel):
    """The part of `metav1.ObjectMeta` that the operator reads."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )
    name: Name
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
