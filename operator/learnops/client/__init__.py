"""The SDK: what an agent imports to run with the right policy and to report how it went.

    from learnops.client import Learner

    with Learner("planner") as learner:
        with learner.run(tenant="acme") as run:
            answer = my_agent(task, **run.policy.prompts, model=run.model)
            run.finish(metrics={"grounding": 0.93}, gates=[{"name": "compiles", "passed": True}])

`AsyncLearner` is the same for coroutines. Standard library and urllib3 only.
"""

from typing import TYPE_CHECKING, Any

from learnops.client.learner import Learner
from learnops.client.policy import Policy
from learnops.client.reader import Reader, ReaderError
from learnops.client.run import Run
from learnops.client.settings import Options

if TYPE_CHECKING:
    from learnops.client.aio import AsyncLearner, AsyncRun

__all__ = [
    "AsyncLearner",
    "AsyncRun",
    "Learner",
    "Options",
    "Policy",
    "Reader",
    "ReaderError",
    "Run",
]


def __getattr__(name: str) -> Any:
    """The asynchronous side with its first use: asyncio takes longer to load than all the rest."""
    if name in ("AsyncLearner", "AsyncRun"):
        from learnops.client import aio

        return getattr(aio, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
