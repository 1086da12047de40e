"""Hooks of the whole process (a fork) that must not keep what they call alive."""

from collections.abc import Callable
from weakref import WeakMethod


def weak(method: Callable[[], object]) -> Callable[[], None]:
    """Calls a bound method if its object still lives."""
    found = WeakMethod(method)

    def call() -> None:
        alive = found()
        if alive is not None:
            alive()

    return call
