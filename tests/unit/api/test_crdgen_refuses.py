"""What the generator cannot express, or our conventions forbid, it refuses by name."""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from learnops.api.common import ATOMIC, Integer, ListType, Model, PrinterColumn, Rule, StatusModel
from learnops.api.crdgen.constraints import InexpressibleError
from learnops.api.crdgen.resource import custom_resource_definition
from learnops.api.crdgen.schema import object_schema

Text = Annotated[str, Field(max_length=8)]


class Mood(StrEnum):
    """Not CamelCase."""

    GOOD = "good"


class Keyless(Model):
    """A list item whose key may be absent."""

    name: Text | None = None
    """Its name."""


class Inner(Model):
    """Something with a default."""

    size: Annotated[Integer, Field(ge=0, le=9)] = 1
    """Its size."""


REFUSED: list[tuple[Any, str]] = [
    (Text | int, "a union other than Optional; use one type"),
    (float, "a float; clients would read different numbers: use Decimal or Fraction (text)"),
    (bool, "a boolean; use an enum of CamelCase words, it can grow"),
    (str, "a string without bound; set max_length"),
    (Annotated[Integer, Field(ge=0)], "an integer without bounds; set ge and le"),
    (Annotated[Integer, Field(le=9)], "an integer without bounds; set ge and le"),
    (
        Annotated[int, Field(ge=0, le=9)],
        "an integer that would also take text; use Integer",
    ),
    (Annotated[tuple[Text, ...], ATOMIC], "a list without bound; set max_length"),
    (
        Annotated[tuple[Text, ...], Field(max_length=2)],
        "a list without a list type; add ATOMIC, SET or ListType",
    ),
    (
        Annotated[tuple[Text, Text], Field(max_length=2), ATOMIC],
        "a tuple of fixed shape; use tuple[X, ...]",
    ),
    (
        Annotated[tuple[Keyless, ...], Field(max_length=2), ListType(kind="map", keys=("name",))],
        "the list key 'name' is neither a required field nor has a default",
    ),
    (dict[str, Text], "a map without bound; set max_length"),
    (Annotated[dict[int, Text], Field(max_length=2)], "a map whose keys are not strings"),
    (Mood, "the enum value 'good' is not CamelCase"),
    (date, "the type <class 'datetime.date'> has no counterpart in a structural schema"),
    (Any, "the type typing.Any has no counterpart in a structural schema"),
    (
        Annotated[Text, Rule(rule="true", message="has to be")],
        "the message 'has to be' does not begin with \"must\"",
    ),
]


@pytest.mark.parametrize(("annotation", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_refused_type_names_the_field(annotation: Any, why: str) -> None:
    class Thing(Model):
        """A thing."""

        part: annotation
        """Its part."""

    with pytest.raises(InexpressibleError, match=f"^{re.escape(f'Thing.part: {why}')}$"):
        object_schema(Thing)


@pytest.mark.parametrize("unbounded", [str, float, dict[str, Text]])
def test_refused_inside_a_list_and_a_map(unbounded: Any) -> None:
    class Thing(Model):
        """A thing."""

        parts: Annotated[tuple[unbounded, ...], Field(max_length=2), ATOMIC]
        """Its parts."""

    class Other(Model):
        """Another."""

        parts: Annotated[dict[str, unbounded], Field(max_length=2)]
        """Its parts."""

    with pytest.raises(InexpressibleError, match=r"^Thing\.parts\[\]: "):
        object_schema(Thing)
    with pytest.raises(InexpressibleError, match=r"^Other\.parts\{\}: "):
        object_schema(Other)


def test_a_field_without_a_description_is_refused() -> None:
    class Thing(Model):
        """A thing."""

        part: Text

    with pytest.raises(InexpressibleError, match=r"^Thing\.part: no description"):
        object_schema(Thing)


def test_refused_constraint_without_counterpart() -> None:
    class Thing(Model):
        """A thing."""

        part: Annotated[Integer, Field(ge=0, le=9, multiple_of=2)]
        """Its part."""

    with pytest.raises(InexpressibleError, match=r"^Thing\.part: the constraint MultipleOf"):
        object_schema(Thing)


def test_refused_default_of_an_optional() -> None:
    class Thing(Model):
        """A thing."""

        part: Text | None = "x"
        """Its part."""

    with pytest.raises(InexpressibleError, match=r"^Thing\.part: Optional means absent"):
        object_schema(Thing)


def test_refused_default_that_is_not_the_models_own() -> None:
    class Thing(Model):
        """A thing."""

        part: Inner = Inner(size=2)
        """Its part."""

    with pytest.raises(InexpressibleError, match=r"^Thing\.part: a default other than"):
        object_schema(Thing)


def resource(*columns: PrinterColumn) -> Any:
    class ThingSpec(Model):
        """Spec."""

        part: Text
        """Its part."""

    class ThingStatus(StatusModel):
        """Status."""

    class Thing(Model):
        """A thing."""

        spec: ThingSpec
        """Its spec."""
        status: ThingStatus = ThingStatus()
        """Its status."""
        plural: ClassVar[str] = "things"
        short_names: ClassVar[tuple[str, ...]] = ()

    Thing.columns = columns
    return Thing


def test_refused_column_of_no_field() -> None:
    column = PrinterColumn(name="Size", json_path=".spec.size")
    with pytest.raises(InexpressibleError, match=r"^Thing column 'Size': no field 'size'"):
        custom_resource_definition(resource(column))


def test_a_seventh_printer_column_is_refused() -> None:
    column = PrinterColumn(name="Part", json_path=".spec.part")
    assert custom_resource_definition(resource(*[column] * 6))
    with pytest.raises(InexpressibleError, match="more than 6 printer columns"):
        custom_resource_definition(resource(*[column] * 7))
