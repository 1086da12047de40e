"""The four kinds of losses of the table: name, and n losses from a generator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]


def beta(rng: np.random.Generator, count: int) -> Floats:
    """Mean 0.30, deviation 0.15."""
    return rng.beta(2.5, 35 / 6, count)


def zero_inflated(rng: np.random.Generator, count: int) -> Floats:
    """40 % zeros; mean 0.168, deviation 0.157."""
    return np.where(rng.random(count) < 0.4, 0.0, rng.beta(5.54, 14.24, count))


def rare_tail(rng: np.random.Generator, count: int) -> Floats:
    """3 % of the runs lose 0.95; mean 0.145, deviation 0.154."""
    return np.where(rng.random(count) < 0.03, 0.95, rng.beta(3.23, 23.66, count))


def near_bounds(rng: np.random.Generator, count: int) -> Floats:
    """Nearly all or nothing; mean 0.27, deviation 0.41."""
    return rng.beta(0.0466, 0.1259, count)


FAMILIES: dict[str, Draw] = {
    "beta": beta,
    "zero-inflated": zero_inflated,
    "rare tail": rare_tail,
    "near bounds": near_bounds,
}


def two_point(rate: float) -> Draw:
    """1 with probability ``rate``, else 0."""
    return lambda rng, count: (rng.random(count) < rate).astype(np.float64)
