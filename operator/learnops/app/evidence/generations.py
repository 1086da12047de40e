"""An analysis generation on record: its tests, and how the planner sees it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.crl import CRL
from learnops.app.evidence.reading import plan_of
from learnops.domain.evidence.types import TestPlan
from learnops.domain.observed import GenerationReading
from learnops.domain.planner.content import crl_digest
from learnops.ports.runlog import Generation


def plan_for(canary: CanaryDeployment, candidate: str, generation: Generation) -> TestPlan:
    """The tests of a candidate in a generation, at the level of its attempt."""
    return plan_of(canary, candidate=candidate, attempt=generation.attempt)


def generation_reading(generation: Generation) -> GenerationReading:
    """The planner's view of it."""
    return GenerationReading(
        number=generation.number,
        attempt=generation.attempt,
        crl_digest=_digest(generation.crl),
    )


def _digest(crl: Mapping[str, Any]) -> str:
    """Empty where this version cannot read it: then it is not the doer's, and a new one follows."""
    try:
        return crl_digest(CRL.model_validate(crl))
    except ValidationError:
        return ""
