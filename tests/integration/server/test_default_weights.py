"""Runs of a doer that has no weights: by what they report, then by what the operator decided."""

from itertools import count

import pytest

from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import LiveDoer


def test_runs_are_scored_by_their_own_terms_until_weights_are_decided(
    api: Api, world: LiveDoer
) -> None:
    world.create("doers", "Doer", "newcomer", {"policyRef": {"name": "newcomer-v1"}})
    numbers = count()

    def scored(**metrics: float) -> Json | None:
        run = world.bundle(
            f"n{next(numbers)}", doer="newcomer", policy="newcomer-v1", metrics=metrics
        )
        answer = api.post("/v1/runs", run)
        return answer.body if answer.status == 201 else None

    def scored_by(*terms: str) -> Json | None:
        told = scored(grounding=0.6, securityCriticals=0)
        return told if told is not None and sorted(told["weights"]) == sorted(terms) else None

    # Refused until the api's watch has brought the doer.
    told = wait_until(
        lambda: scored_by("grounding", "securityCriticals"),
        what="the doer's runs to be taken",
        deadline_seconds=30,
    )
    assert told["loss"] == pytest.approx(0.2)
    assert not told["partial"]
    world.status("doers", "newcomer", {"crl": {"weights": {"grounding": "1", "ragCoverage": "1"}}})
    told = wait_until(
        lambda: scored_by("grounding", "ragCoverage"),
        what="the weights of the status to be in force",
        deadline_seconds=30,
    )
    assert told["loss"] == pytest.approx(0.7)
    assert told["missing"] == ["ragCoverage"]
