"""Learners of the SDK as the tests of the client use them."""

from collections.abc import Callable
from typing import Any

from learnops.client import Learner
from learnops.domain.assignment import draw
from testbed.waiting import wait_until

Connect = Callable[..., Learner]
ASSIGNMENTS = "/v1/assignments"
BATCH = "/v1/runs:batch"
BOUND = {"registration_seconds": 0.25}
LOADED_MACHINE_SECONDS = 8.0


def ready(learner: Learner, revision: int = 1) -> Learner:
    """The learner once it knows a revision."""
    wait_until(
        lambda: learner.stats()["revision"] == revision,
        what=f"revision {revision} in the SDK",
        deadline_seconds=60,
    )
    return learner


def unit(arm: str, *, salt: str = "canary-1.0", percent: int = 50, after: str = "u") -> str:
    """An id that the keyed hash gives to an arm."""
    return next(
        f"{after}{n}" for n in range(1000) if draw(salt, f"{after}{n}", percent).value == arm
    )


def finish(learner: Learner, run_id: str | None = None, **given: Any) -> str:
    run = learner.start(run_id=run_id)
    run.finish(**{"metrics": {"grounding": 0.9}, **given})
    return run.id
