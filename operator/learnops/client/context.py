"""Which run the code at hand belongs to, across awaits and into the tasks that it starts."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learnops.client.running import Running

# State of a module, as there is no other: a context variable is found by its identity, and who
# needs it (a span processor) is called by a library that knows no learner.
_current: ContextVar["Running | None"] = ContextVar("learnops_run", default=None)

_MOST_BLOCKS = 64  # that are over, one around the other


def current() -> "Running | None":
    """The run whose `with` block this is in, the innermost one; None outside of any.

    Blocks of generators that take turns are not left in the order in which they were entered, so
    what was current before one may be over as well.
    """
    run = _current.get()
    for _ in range(_MOST_BLOCKS):
        if run is None or not run.over:
            return run
        run = run.outside
    return None


def enter(run: "Running | None") -> "Running | None":
    """Make it the current run; what was current before, to be entered again afterwards."""
    before = current()
    # No token: a block may be left in another context than it was entered in, where a token of
    # the first one is an error.
    _current.set(run)
    return before
