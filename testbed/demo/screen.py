"""The live terminal view; plain lines, one an event, where there is no terminal."""

import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from testbed.demo.cluster import Happening, Rollout, State

_BAR = 20
_EVENTS = 8
_STAGE_STYLE = {"Promoted": "bold green", "RolledBack": "bold red", "Canary": "yellow"}


class Screen:
    """Shows each state that it is given; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._seen: set[tuple[str, int]] = set()
        self._since = time.monotonic()

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: State) -> None:
        """Redraw, or print what is new where there is no terminal."""
        new = [one for one in state.happenings if (one.uid, one.count) not in self._seen]
        self._seen.update((one.uid, one.count) for one in new)
        if self._console.is_terminal:
            self._live.update(self._frame(state))
            return
        for one in new:
            self._console.print(_line(one), soft_wrap=True)

    def _frame(self, state: State) -> RenderableType:
        elapsed = time.monotonic() - self._since
        events = Group(*(_line(one) for one in state.happenings[-_EVENTS:]))
        return Group(
            Panel(_doers(state), title=f"doers · {elapsed:.0f} s", title_align="left"),
            Panel(Group(_rollouts(state), *_waits(state)), title="rollouts", title_align="left"),
            Panel(events, title="events", title_align="left"),
        )


def _doers(state: State) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("doer", "active", "share of runs"):
        table.add_column(column)
    for doer, active in sorted(state.active.items()):
        table.add_row(doer, active or "–", _bars(state.shares.get(doer, {}), active))
    return table


def _bars(shares: dict[str, int], active: str) -> Text:
    text = Text()
    for policy, percent in shares.items():
        style = "blue" if policy == active else "yellow"
        text.append("█" * max(1, round(percent * _BAR / 100)), style=style)
        text.append(f" {policy} {percent} %  ")
    return text


def _rollouts(state: State) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("candidate", "from", "stage"):
        table.add_column(column, no_wrap=True)
    for column in ("share", "runs", "loss", "control", "e promote", "e roll back"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in state.rollouts:
        table.add_row(*_cells(one))
    return table


def _waits(state: State) -> Iterator[Text]:
    """A line each, because no column is wide enough for what a rollout waits for."""
    for one in state.rollouts:
        if one.waiting_for:
            text = Text(f"{one.candidate} waits for {one.waiting_for}", style="dim")
            text.no_wrap, text.overflow = True, "ellipsis"
            yield text


def _cells(one: Rollout) -> tuple[RenderableType, ...]:
    return (
        one.candidate,
        one.source,
        Text("Futile" if one.futile else one.stage, style=_STAGE_STYLE.get(one.stage, "")),
        f"{one.percent} %",
        str(one.runs),
        one.loss,
        one.control_loss,
        "/".join(one.promote),
        "/".join(one.rollback),
    )


def _line(one: Happening) -> Text:
    text = Text(f"{one.time[11:19]} ", style="dim")
    text.append(f"{one.reason:<18}", style="yellow" if one.warning else "green")
    text.append(f"{one.about}: ", style="cyan")
    text.append(one.note)
    return text
