"""Rollouts with several candidates at once."""

from dataclasses import replace
from typing import Any

from learnops.api.canary import ActionType
from learnops.domain.observed import DifferenceReading
from tests.simulation import objects
from tests.simulation.acts.beats import Beat, together, wait
from tests.simulation.acts.gateway import serve
from tests.simulation.acts.mishaps import killed_in
from tests.simulation.acts.people import apply, begin, order, reweigh, start
from tests.simulation.acts.runs import answer, learn, win
from tests.simulation.evidence import BETTER, FUTILE, NOT_MUCH_WORSE, NOTHING_YET, WORSE, reading
from tests.simulation.queries import NAN
from tests.simulation.stories.figures import foresee
from tests.simulation.stories.openings import STEP, TICK
from tests.simulation.stories.queries import P95
from tests.simulation.world import World

FEW = reading(runs=60, candidate=3)


def try_both(**analysis: Any) -> Beat:
    """Both candidates are applied with a canary that has them race."""
    return apply(
        objects.policy("v2"),
        objects.policy("v3"),
        objects.canary(
            "try-both",
            candidate="v2",
            candidateRefs=[{"name": "v2"}, {"name": "v3"}],
            analysis=objects.analysis(**analysis),
        ),
    )


BOTH_BY_HAND = try_both(futility={"minImprovement": "0.02"})
BOTH_AT_MOST = try_both(maxRuns=1000)
BOTH_WATCHED = try_both(guardrails=[P95])
LOWER = DifferenceReading(estimate=-0.10, low=-0.20, high=-0.03)
BETTER_AND_BOUNDED = replace(
    BETTER, difference=DifferenceReading(estimate=-0.07, low=-0.15, high=-0.01)
)


def both_better(world: World) -> None:
    """Both are proved in the same block; v3 by more."""
    world.sources.truth["v3"] = replace(BETTER_AND_BOUNDED, difference=LOWER)
    learn("v2", BETTER_AND_BOUNDED, "300 runs of each, both better, v3 by more")(world)


def of_all_arms(runs: int) -> list[Beat]:
    """Nothing is shown of either; the evidence on each tells the runs of all arms as well."""
    told = reading(runs=runs - 50, candidate=50, all_runs=runs)
    return [learn(name, told, f"{runs} runs of all arms") for name in ("v2", "v3")]


STORIES: dict[str, list[Beat]] = {
    "two-candidates-one-dropped-one-promoted": [
        *begin(),
        BOTH_BY_HAND,
        learn("v3", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        learn("v2", WORSE, "24 runs, worse"),
        STEP,
        *win("v3"),
    ],
    "two-candidates-both-dropped": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", FUTILE, "30 runs, not better by 0.02"),
        learn("v3", WORSE, "24 runs, worse"),
    ],
    "two-candidates-both-proved": [
        *begin(),
        BOTH_BY_HAND,
        both_better,
    ],
    "two-candidates-without-a-verdict": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", WORSE, "24 runs, worse"),
        wait(days=2),
    ],
    "two-candidates-at-max-runs": [
        *begin(),
        BOTH_AT_MOST,
        together(*of_all_arms(990)),
        together(*of_all_arms(1000)),
    ],
    "two-candidates-tried-again": [
        *begin(),
        BOTH_BY_HAND,
        learn("v2", WORSE, "24 runs, worse"),
        order(ActionType.ABORT, "a1"),
        learn("v2", NOTHING_YET, "new runs"),
        order(ActionType.RETRY, "r1", canary="try-both"),
    ],
    "two-candidates-killed-while-dropping": [
        *begin(),
        BOTH_BY_HAND,
        killed_in(learn("v2", WORSE, "24 runs, worse"), actions=1),
        *win("v3"),
    ],
    "two-candidates-killed-while-promoting": [
        *begin(),
        BOTH_BY_HAND,
        killed_in(learn("v3", BETTER, "300 runs, better"), actions=2),
    ],
    "two-candidates-one-rejected-before": [
        *begin(),
        *start("v2"),
        learn("v2", WORSE, "24 runs, worse"),
        apply(
            objects.policy("v3"),
            objects.canary(
                "try-both", candidate="v2", candidateRefs=[{"name": "v2"}, {"name": "v3"}]
            ),
        ),
    ],
    "two-candidates-query-breached": [
        *begin(),
        BOTH_WATCHED,
        together(answer("v2", 3.1), answer("v3", 1.2)),
        TICK,
        together(answer("v3", NAN), TICK),
        together(answer("v3", 1.3), TICK),
        *win("v3"),
    ],
    "two-candidates-weights-changed": [
        *begin(),
        BOTH_BY_HAND,
        learn("v3", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        learn("v2", WORSE, "24 runs, worse"),
        reweigh(securityCriticals="1"),
        learn("v3", WORSE, "24 runs, worse by the new weights"),
        order(ActionType.RETRY, "again", canary="try-both"),
    ],
    "two-candidates-weights-changed-under-both": [
        *begin(),
        BOTH_BY_HAND,
        learn("v3", NOT_MUCH_WORSE, "41 runs, not much worse"),
        STEP,
        killed_in(reweigh(securityCriticals="1"), actions=1),
        *win("v3"),
    ],
    "two-candidates-one-too-slow": [
        *begin(),
        BOTH_BY_HAND,
        together(learn("v2", FEW, "30 runs"), learn("v3", FEW, "30 runs")),
        foresee("v2", "880 runs of 1,500 a day", runs=880, runs_per_day=1500.0),
        foresee("v3", "3,380 runs, too late", runs=3380, runs_per_day=1500.0),
        learn("v3", FUTILE, "30 runs, not better by 0.02"),
    ],
    "two-candidates-behind-a-gateway": [
        *begin(gateway=True),
        serve("blue", "v1"),
        BOTH_BY_HAND,
    ],
}
