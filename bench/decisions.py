"""The evidence engine: its cost, and how often and how soon it is right."""

from typing import Any

from bench import decisions_small
from bench.figure import Figure
from bench.world import World

CANARIES = 300


def run(_world: World) -> list[Figure]:
    """In small: the whole table with its thousands of canaries is `make bench-decisions`."""
    return [_figure(row) for row in decisions_small.run(canaries=CANARIES)]


def _figure(row: dict[str, Any]) -> Figure:
    sign, _, bound = str(row["wanted"]).partition(" ")
    return Figure(
        name=row["figure"],
        value=row["value"],
        unit=row["unit"],
        error=row["error"],
        at_most=float(bound) if sign == "<=" else None,
        note=f"{CANARIES} canaries" if row["error"] is not None else "",
    )
