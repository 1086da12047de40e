"""All rollouts from beginning to end, by name.

Each is a list of beats; after each the operator settles.
"""

from tests.simulation.acts.beats import Beat
from tests.simulation.stories import (
    behind_gateway,
    drift,
    endings,
    figures,
    guardrails,
    killed,
    objects_lost,
    orders,
    queries,
    races,
    restored,
    shadow,
    sources,
    terms,
    weights,
)

_THEMES = (
    behind_gateway.STORIES,
    drift.STORIES,
    endings.STORIES,
    figures.STORIES,
    guardrails.STORIES,
    killed.STORIES,
    objects_lost.STORIES,
    orders.STORIES,
    queries.STORIES,
    races.STORIES,
    restored.STORIES,
    shadow.STORIES,
    sources.STORIES,
    terms.STORIES,
    weights.STORIES,
)
STORIES: dict[str, list[Beat]] = {name: story for theme in _THEMES for name, story in theme.items()}
assert len(STORIES) == sum(len(theme) for theme in _THEMES), "two stories of one name"
