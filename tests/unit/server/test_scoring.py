"""What ingest makes of a bundle's own budgets."""

import pytest

from learnops.api.doer import CRL
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.terms import InvalidMetric
from learnops.server.models import Bundle
from learnops.server.scoring import frozen_yardsticks, in_force, score_bundle

DOER = CRL.model_validate(
    {
        "weights": {"costOverBudget": "1", "latencyP95": "1"},
        "budget": {"costUSD": "0.05", "latencyMilliseconds": 100},
    }
)


def bundle(**given: object) -> Bundle:
    reported = {"costs": {"costUSD": 1.5}, "metrics": {"latencyP95Milliseconds": 1250}}
    head = {"namespace": "agents", "doer": "planner", "runId": "r", "policy": "planner-v1"}
    return Bundle.model_validate({**head, **reported, **given})


def test_a_run_that_states_its_budgets_is_measured_by_them() -> None:
    own = {"maxCostUSD": 1, "maxDurationMilliseconds": 1000}
    assert score_bundle(bundle(budget=own), yardsticks(DOER).of(None)).loss == pytest.approx(0.375)


def test_one_that_states_none_is_measured_by_the_doers() -> None:
    assert score_bundle(bundle(), yardsticks(DOER).of(None)).loss == 1.0


def test_why_a_generation_has_no_yardsticks_is_told_each_time_and_holds_on_to_no_run() -> None:
    with pytest.raises(InvalidMetric) as unreadable:
        frozen_yardsticks({"weights": {"charm": "1"}})
    kept = InvalidMetric(field=unreadable.value.field, detail=unreadable.value.detail)
    for _ in range(2):
        with pytest.raises(InvalidMetric, match="the frozen CRL configuration cannot"):
            in_force(kept)
    assert kept.__traceback__ is None
