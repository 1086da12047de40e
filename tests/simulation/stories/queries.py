"""Rollouts with a guardrail on a PromQL query."""

from tests.simulation import objects
from tests.simulation.acts.beats import Beat, wait
from tests.simulation.acts.people import apply, begin
from tests.simulation.acts.runs import answer, learn, win
from tests.simulation.evidence import BETTER, RUN_LOG_DOWN, WORSE
from tests.simulation.queries import NAN, NO_ANSWER, PROMETHEUS_SILENT
from tests.simulation.stories.openings import TICK

P95 = {"name": "p95", "promQL": 'job:latency:p95{policy="$(candidate)"}', "max": "2.5"}


def watched(**analysis: object) -> Beat:
    """A canary of v2 that a person made, with a bound on its latency."""
    made = objects.analysis(guardrails=[P95], **analysis)
    return apply(objects.policy("v2"), objects.canary("try-v2", candidate="v2", analysis=made))


STORIES: dict[str, list[Beat]] = {
    "query-breached-three-times": [
        *begin(),
        watched(),
        answer("v2", 2.5),
        answer("v2", 3.1),
        learn("v2", BETTER, "300 runs, better, but slow"),
        TICK,
        wait(seconds=5),
        wait(seconds=5),
    ],
    "query-breached-not-in-a-row": [
        *begin(),
        watched(),
        answer("v2", 3.1),
        TICK,
        answer("v2", NAN),
        TICK,
        answer("v2", 2.4),
        TICK,
        answer("v2", 3.2),
        TICK,
        answer("v2", 1.9),
        TICK,
        *win("v2"),
    ],
    "query-breached-without-run-log": [
        *begin(),
        watched(),
        learn("v2", RUN_LOG_DOWN, "the run log is gone for evidence"),
        answer("v2", 4.0),
        TICK,
        TICK,
    ],
    "query-without-an-answer": [
        *begin(),
        watched(),
        answer("v2", NO_ANSWER),
        *win("v2"),
        wait(seconds=60),
        wait(seconds=60),
        wait(minutes=20),
        answer("v2", 2.0),
    ],
    "query-without-an-answer-until-the-deadline": [
        *begin(),
        watched(),
        answer("v2", PROMETHEUS_SILENT),
        *win("v2"),
        wait(days=2),
    ],
    "query-without-an-answer-while-worse": [
        *begin(),
        watched(),
        answer("v2", PROMETHEUS_SILENT),
        learn("v2", WORSE, "24 runs, worse"),
    ],
}
