"""The table at the end: each verdict beside the truth."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from testbed.demo.story import Ending


def table(endings: Sequence[Ending]) -> Table:
    """One row a story."""
    made = Table(title="verdicts beside the truth", title_justify="left")
    for column in ("doer", "candidate", "evidence from", "truth", "verdict"):
        made.add_column(column, no_wrap=True)
    for column in ("candidate runs exposed", "runs in all", "time"):
        made.add_column(column, justify="right")
    made.add_column("")
    for ending in endings:
        made.add_row(*_cells(ending))
    return made


def _cells(ending: Ending) -> tuple[str | Text, ...]:
    rollout = ending.rollout
    return (
        ending.story.doer,
        ending.story.candidate,
        rollout.source if rollout else "–",
        ending.story.truth,
        rollout.stage if rollout else "never started",
        str(rollout.runs) if rollout else "–",
        str(rollout.runs + rollout.control_runs) if rollout else "–",
        f"{ending.seconds:.1f} s",
        Text("right", style="green") if ending.right else Text("WRONG", style="bold red"),
    )
