"""The end of processes that `multiprocessing` made: they leave without what `atexit` was told."""

import sys
from collections.abc import Callable


def call_at_end(close: Callable[[], object]) -> None:
    """Have `close` called when this process ends, if it is a child of `multiprocessing`.

    To be called in the child: what was registered before the fork is forgotten there. Others have
    `atexit`.
    """
    process, util = map(sys.modules.get, ("multiprocessing.process", "multiprocessing.util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, close, exitpriority=0)
