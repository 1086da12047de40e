"""What is true of the example's policies, and what a correct operator concludes from runs alone."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """One rollout of the demo: a candidate, its true effect, and the only right end of it.

    ``effect`` is candidate minus control in mean loss: negative is better.
    """

    doer: str
    candidate: str
    effect: float
    right_end: str  # CanaryDeployment.status.stage

    @property
    def truth(self) -> str:
        """The truth in words."""
        return f"{'better' if self.effect < 0 else 'worse'} by {abs(self.effect):.2f}"


STORIES: dict[str, tuple[Story, ...]] = {
    doer: (
        Story(doer=doer, candidate=f"{doer}-v2", effect=-0.07, right_end="Promoted"),
        Story(doer=doer, candidate=f"{doer}-v3", effect=+0.25, right_end="RolledBack"),
    )
    for doer in ("planner", "coder")
}
