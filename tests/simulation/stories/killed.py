"""The operator is killed between two actions of one plan."""

from tests.simulation.acts.beats import Beat
from tests.simulation.acts.mishaps import killed_in
from tests.simulation.acts.people import begin
from tests.simulation.acts.runs import learn, win
from tests.simulation.evidence import BETTER, FUTILE, PROMETHEUS_DOWN, WORSE
from tests.simulation.stories.openings import FUTILITY_BY_HAND, V2_BY_HAND

STORIES: dict[str, list[Beat]] = {
    "killed-while-starting": [
        *begin(),
        killed_in(V2_BY_HAND, passes=2, actions=3),
        *win("v2"),
    ],
    "killed-while-promoting": [
        *begin(),
        V2_BY_HAND,
        killed_in(learn("v2", BETTER, "300 runs, better"), actions=2),
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
    ],
    "killed-while-rolling-back": [
        *begin(),
        V2_BY_HAND,
        killed_in(learn("v2", WORSE, "24 runs, worse"), actions=1),
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
    ],
    "killed-while-ending-as-futile": [
        *begin(),
        FUTILITY_BY_HAND,
        killed_in(learn("v2", FUTILE, "30 runs, not better by 0.02"), actions=1),
        learn("v2", PROMETHEUS_DOWN, "the source of evidence is gone"),
    ],
}
