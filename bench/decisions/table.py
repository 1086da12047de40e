"""The seventeen rows, played on all cores."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from bench.decisions import errors_rows, log_rows, speed_rows
from bench.decisions.row import Row
from bench.figure import Figure

ROWS: tuple[Row, ...] = tuple(
    sorted((*errors_rows.ROWS, *speed_rows.ROWS, *log_rows.ROWS), key=lambda row: row.number)
)
SEED = 20_26
_CHUNK = 20
"""Canaries of one task; it is fixed, so that a result does not depend on the number of cores."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """Some canaries of one part; the seed is of the table, the row, the part and the chunk."""

    number: int
    part: int
    chunk: int
    canaries: int
    seed: int


def play(
    numbers: Sequence[int],
    *,
    fast: bool,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, list[Figure]]:
    """The figures of these rows.

    Args:
        progress: called with how many tasks are done, and of how many.
    """
    tasks = list(_tasks(numbers, fast=fast, seed=seed))
    found: dict[_Task, list[Any]] = {}
    with ProcessPoolExecutor(max_workers=workers) as pool:
        running = {pool.submit(_run, task): task for task in tasks}
        for future in as_completed(running):
            found[running[future]] = future.result()
            if progress is not None:
                progress(len(found), len(tasks))
    return {row.number: _figures(row, tasks, found) for row in ROWS if row.number in numbers}


def _figures(row: Row, tasks: Sequence[_Task], found: dict[_Task, list[Any]]) -> list[Figure]:
    figures: list[Figure] = []
    for index, part in enumerate(row.parts):
        mine = (task for task in tasks if (task.number, task.part) == (row.number, index))
        figures += part.say([one for task in mine for one in found[task]])
    return figures


def _tasks(numbers: Sequence[int], *, fast: bool, seed: int) -> Iterator[_Task]:
    for row in ROWS:
        if row.number not in numbers:
            continue
        for index, part in enumerate(row.parts):
            left = iter(range(part.fast if fast else part.full))
            chunk = 0
            while canaries := len(list(islice(left, _CHUNK))):
                yield _Task(
                    number=row.number, part=index, chunk=chunk, canaries=canaries, seed=seed
                )
                chunk += 1


def _run(task: _Task) -> list[Any]:
    row = next(row for row in ROWS if row.number == task.number)
    rng = np.random.default_rng([task.seed, task.number, task.part, task.chunk])
    return row.parts[task.part].play(rng, task.canaries)
