"""The evidence engine: the design's table of numbers, played with the shipped code."""

import os

from bench.decisions.table import ROWS, SEED, play
from bench.figure import Figure
from bench.rig import Rig


def run(_rig: Rig) -> list[Figure]:
    """The whole table in small; with its thousands of canaries it is `make bench-decisions`."""
    numbers = [row.number for row in ROWS]
    found = play(numbers, fast=True, seed=SEED, workers=os.cpu_count() or 1)
    return [figure for figures in found.values() for figure in figures]
