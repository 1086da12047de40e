"""A row of the table: parts that are played apart and in parallel, and what is said of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.figure import Figure

Play = Callable[[np.random.Generator, int], list[Any]]
Say = Callable[[Sequence[Any]], list[Figure]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One simulation: ``play`` n canaries (picklable outcomes), ``say`` what came of them all."""

    play: Play
    say: Say
    full: int
    fast: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the design's table, by its number in docs/benchmarks.md."""

    number: int
    title: str
    parts: tuple[Part, ...]
