"""The imports of a process that runs for long."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage among what is imported inside, neither meanwhile nor ever after.

    Modules, classes and functions stay until the process ends. Going through hundreds of thousands
    of them as they grow was a seventh of the time of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
