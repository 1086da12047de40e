"""The table at the end: each verdict beside the truth."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from testbed.demo.story import Ending


def table(endings: Sequence[Ending]) -> Table:
    """One row a story."""
    made = Table(title="verdicts beside the truth", title_justify="left")
    for column in ("candidate", "evidence from"):
        made.add_column(column, no_wrap=True)
    # These two give way where the terminal is narrow.
    for column in ("truth", "verdict"):
        made.add_column(column)
    for column in ("exposed", "runs", "time"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    made.caption = "exposed: runs that the candidate got; runs: of both arms until the verdict"
    made.caption_justify = "left"
    for ending in endings:
        made.add_row(*_cells(ending))
    return made


def _cells(ending: Ending) -> tuple[str | Text, ...]:
    rollout = ending.rollout
    return (
        ending.story.candidate,
        rollout.source if rollout else "–",
        ending.story.truth,
        rollout.verdict if rollout else "never started",
        str(rollout.runs) if rollout else "–",
        str(rollout.runs + rollout.control_runs) if rollout else "–",
        f"{ending.seconds:.1f} s",
        _judged(ending),
    )


def _judged(ending: Ending) -> Text:
    """A rollout that is still going is no wrong verdict; it is none."""
    if ending.right:
        return Text("right", style="green")
    if ending.late:
        return Text("no verdict in time", style="yellow")
    return Text("WRONG", style="bold red")
