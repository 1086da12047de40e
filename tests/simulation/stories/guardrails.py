"""Guardrails on a term: broken, breached, not proved, reported by nobody."""

from typing import Any

from tests.simulation import objects
from tests.simulation.acts.beats import Beat
from tests.simulation.acts.people import apply, begin
from tests.simulation.acts.runs import learn
from tests.simulation.evidence import (
    AT_THE_LIMIT,
    BETTER_AND_PROVED,
    BETTER_BUT_UNPROVED,
    BREACHED,
    BROKEN_TERM,
)
from tests.simulation.stories.openings import STEP


def guarded(**guardrail: Any) -> Beat:
    """A canary of v2 that a person made, with one guardrail."""
    analysis = objects.analysis(guardrails=[guardrail])
    return apply(objects.policy("v2"), objects.canary("try-v2", candidate="v2", analysis=analysis))


STORIES: dict[str, list[Beat]] = {
    "guardrail-broken": [
        *begin(),
        guarded(term="grounding"),
        learn("v2", BROKEN_TERM, "125 runs, grounding broken"),
    ],
    "guardrail-not-proved-yet": [
        *begin(),
        guarded(term="grounding"),
        learn("v2", BETTER_BUT_UNPROVED, "300 runs, better, grounding open"),
        STEP,
        learn("v2", BETTER_AND_PROVED, "grounding shown not worse"),
    ],
    "guardrail-breached": [
        *begin(),
        guarded(term="grounding", immediate={"maxCount": 3}),
        learn("v2", AT_THE_LIMIT, "3 breaches"),
        learn("v2", BREACHED, "4 breaches"),
    ],
    "guardrail-nobody-reports": [
        *begin(),
        guarded(term="securityCriticals"),
    ],
}
