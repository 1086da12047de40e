"""One run with details, reported."""

from collections.abc import Callable
from typing import Any

import pytest

from learnops.server.models import Bundle
from tests.contract.client.learners import Connect, ready
from tests.contract.client.stand_in import StandInApi

Finish = Callable[..., tuple[dict[str, Any], dict[str, Any]]]
GOOD = {"grounding": 0.5}


@pytest.fixture
def finish(api: StandInApi, connect: Connect) -> Finish:
    """Report one run: what arrives, which the api's own model takes, and the learner's counters."""

    def reported(**given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        learner = ready(connect())
        learner.start(run_id="a").finish(**{"metrics": GOOD, **given})
        assert learner.flush(60)
        Bundle.model_validate(api.runs["a"])
        return api.runs["a"], learner.stats()

    return reported
