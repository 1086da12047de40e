"""What was measured, as a table for people or as JSON for programs."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figure import Figure, plain

WIDTH = 130


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One benchmark's figures, the seconds it took, and why it has none if it failed."""

    name: str
    title: str
    figures: Sequence[Figure]
    seconds: float
    failure: str | None = None


def machine() -> str:
    """The machine in words."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python " + (
        platform.python_version()
    )


def show(measured: Measured) -> None:
    """Print one benchmark's table on standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    table = Table(title=f"{measured.name}: {measured.title}", title_justify="left")
    table.add_column("figure", overflow="fold")
    for heading in ("measured", "wanted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("note", style="dim", overflow="fold")
    for figure in measured.figures:
        table.add_row(*_cells(figure))
    console.print(table)
    if measured.failure is not None:
        console.print(f"[bold red]{measured.name} could not be measured:[/] {measured.failure}")


def to_json(all_measured: Sequence[Measured]) -> str:
    """Everything, with the machine."""
    benchmarks: list[dict[str, Any]] = [
        {
            "name": one.name,
            "title": one.title,
            "seconds": round(one.seconds, 1),
            "failure": one.failure,
            "figures": [figure.to_dict() for figure in one.figures],
        }
        for one in all_measured
    ]
    return json.dumps({"machine": machine(), "benchmarks": benchmarks}, indent=2)


def say(what: str) -> None:
    """One line of progress, on standard error."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def _cells(figure: Figure) -> tuple[str, ...]:
    error = "" if figure.error is None else f" ± {plain(figure.error)}"
    mark = {None: "", True: "[green]met[/]", False: "[bold red]MISSED[/]"}[figure.met]
    if figure.unclear:
        mark = "[yellow]unclear[/]"
    value = f"{plain(figure.value)}{error} {figure.unit}"
    wanted = f"{figure.wanted} {figure.unit}" if figure.wanted else ""
    return figure.name, value, wanted, mark, figure.note
