"""An api of its own for each test, and learners that are closed in the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from learnops.client import Learner, Options
from tests.contract.client.api import Api


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    yield served
    served.stop()


@pytest.fixture
def connect(api: Api) -> Iterator[Callable[..., Learner]]:
    """Make learners for `planner` in `agents`, by default patient: the machine may be busy."""
    with ExitStack() as stack:

        def make(**given: Any) -> Learner:
            bounds = {"registration_seconds": 5.0, "close_seconds": 0.5}
            options = Options(**{**bounds, **given.pop("options", {})})
            arguments = {"api": api.url, "token": "s3cret", "namespace": "agents", **given}
            return stack.enter_context(Learner("planner", options=options, **arguments))

        yield make
