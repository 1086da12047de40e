"""An api and a spool of its own for each test, and learners that are closed in the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from learnops.client import Learner, Options
from tests.contract.client.stand_in import StandInApi
from tests.patience import WAITS


@pytest.fixture
def api() -> Iterator[StandInApi]:
    served = StandInApi()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def spool(no_spool: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the learners of this test, also in other processes, keep bundles."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("LEARNOPS_SPOOL", str(folder))
    return folder


@pytest.fixture
def connect(api: StandInApi) -> Iterator[Callable[..., Learner]]:
    """Make learners for `planner` in `agents`, by default patient: the machine may be busy."""
    with ExitStack() as stack:

        def make(**given: Any) -> Learner:
            bounds = {**WAITS, "close_seconds": 0.5}
            options = Options(**{**bounds, **given.pop("options", {})})
            arguments = {"api": api.url, "token": "s3cret", "namespace": "agents", **given}
            return stack.enter_context(Learner("planner", options=options, **arguments))

        yield make
