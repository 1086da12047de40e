"""The whole CRD of a small model that has one of everything, and the files in `crds/`."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field, ValidationError

from learnops.api.common import (
    FENCED,
    SET,
    Conditions,
    Integer,
    ListType,
    Model,
    Name,
    NoSchemaDefault,
    PrinterColumn,
    Rule,
    StatusModel,
)
from learnops.api.crdgen.__main__ import check, write
from learnops.api.crdgen.render import crd_yaml, generated_files

GOLDEN = Path(__file__).parent / "crd_kettle.yaml"
REPOSITORY = Path(__file__).parents[2]


class Heat(StrEnum):
    """How hot."""

    WARM = "Warm"
    BOILING = "Boiling"


class Cup(Model):
    """One cup."""

    name: Name
    """Whose cup."""
    sugar: Annotated[Integer, Field(ge=0, le=5)] = 1
    """Lumps of sugar."""
    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.name != 'cat' || self.sugar == 0",
            message="must be 0 for the cat",
            field_path=".sugar",
            holds=lambda cup: cup.name != "cat" or cup.sugar == 0,
        ),
    )


class Water(Model):
    """What is in it."""

    heat: Heat = Heat.BOILING
    """How hot it gets."""
    litres: Annotated[str, Field(max_length=4, pattern=r"^[0-9]\.[0-9]$")] | None = None
    """How much, as text."""
    rest_seconds: Annotated[Integer, Field(ge=0, le=60), NoSchemaDefault()] = 5
    """How long it rests."""


class KettleSpec(Model):
    """What to brew."""

    cups: Annotated[
        tuple[Cup, ...], Field(min_length=1, max_length=3), ListType(kind="map", keys=("name",))
    ]
    """The cups to fill."""
    herbs: Annotated[tuple[Name, ...], Field(max_length=4), SET] = ()
    """What goes in."""
    labels: Annotated[dict[str, Name], Field(max_length=2)] | None = None
    """What to write on it."""
    water: Annotated[Water, Rule(rule="self == oldSelf", message="must not change")] = Water()
    """What is in it."""


class KettleStatus(StatusModel):
    """What came of it."""

    fence: Annotated[Integer, Field(ge=0)] = 0
    """Who wrote this."""
    done_time: datetime | None = None
    """When it was done."""
    conditions: Conditions = ()
    """Ready and the like."""
    cel_rules: ClassVar[tuple[Rule, ...]] = (FENCED,)


class Kettle(Model):
    """Boils water."""

    spec: KettleSpec
    """What to brew."""
    status: KettleStatus = KettleStatus()
    """What came of it."""
    plural: ClassVar[str] = "kettles"
    short_names: ClassVar[tuple[str, ...]] = ("kt",)
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn(name="First", json_path=".spec.cups[0].name"),
        PrinterColumn(name="Ready", json_path='.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn(name="Heat", json_path=".spec.water.heat", priority=1),
        PrinterColumn(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )


def test_the_crd_of_a_model_with_one_of_everything_is_as_it_was() -> None:
    assert crd_yaml(Kettle) == GOLDEN.read_text(encoding="utf-8")


def test_a_rule_holds_in_python_too() -> None:
    assert Cup.model_validate({"name": "cat", "sugar": 0})
    with pytest.raises(ValidationError, match="must be 0 for the cat"):
        Cup.model_validate({"name": "cat"})


def test_what_is_committed_is_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(REPOSITORY) == 0
    assert capsys.readouterr().err == ""


def test_a_difference_is_shown_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(tmp_path) == 0
    assert check(tmp_path) == 0
    first, second, *_ = sorted(generated_files())
    edited = tmp_path / first
    edited.write_text(edited.read_text("utf-8") + "# by hand\n", "utf-8")
    (tmp_path / second).unlink()
    assert check(tmp_path) == 1
    shown = capsys.readouterr().err
    assert "-# by hand" in shown
    assert first in shown
    assert second in shown
    assert shown.endswith("run `make crds` and commit\n")


def test_the_crd_of_a_removed_model_goes(tmp_path: Path) -> None:
    write(tmp_path)
    left_over = tmp_path / "crds" / "learnops.dev_kettles.yaml"
    left_over.write_text(crd_yaml(Kettle), encoding="utf-8")
    by_others = tmp_path / "crds" / "other.yaml"
    by_others.write_text("kind: Other\n", encoding="utf-8")
    assert check(tmp_path) == 1
    write(tmp_path)
    assert not left_over.exists()
    assert by_others.exists()
    assert check(tmp_path) == 0
