"""The user's HTTPRoute in the simulated world, with the pods behind its two backends."""

from learnops.domain.observed import RouteReading, Slot
from learnops.domain.plan import PatchRoute
from tests.simulation.store import ConflictError


class Route:
    """Two weights, what the pods report, and whether the parents accepted the weights."""

    def __init__(self) -> None:
        self.weights = (100, 0)
        self.digests: dict[str, str | None] = {"blue": None, "green": None}
        self.ready = {"blue": True, "green": True}
        self.generation = self.accepted = 1
        self.version = 1
        self.prompt_parent = True  # accepts at once; a story may make it slow

    def read(self) -> RouteReading:
        """As the operator sees it."""
        slots = tuple(
            Slot(
                backend=name,
                weight=weight,
                ready=self.ready[name],
                policy_digest=self.digests[name],
            )
            for name, weight in zip(("blue", "green"), self.weights, strict=True)
        )
        return RouteReading(
            generation=self.generation,
            resource_version=str(self.version),
            slots=(slots[0], slots[1]),
            accepted=self.accepted == self.generation,
        )

    def patch(self, action: PatchRoute) -> None:
        """The operator's patch tests the version."""
        if action.resource_version != str(self.version):
            raise ConflictError("route")
        self.edit(action.weights)

    def edit(self, weights: tuple[int, int]) -> None:
        """Anybody's write of the weights."""
        self.weights = weights
        self.version += 1
        self.generation += 1
        if self.prompt_parent:
            self.accepted = self.generation
