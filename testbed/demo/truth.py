"""What is true of the example's policies, and what a correct operator concludes from runs alone."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """One rollout of the demo: a candidate, the truth on it, and the only right verdict.

    Attributes:
        truth: in words, as examples/demo/truth.yaml has it in numbers.
        right: how it must end: a stage, "Futile", or a stage and the guardrail that it is for.
    """

    doer: str
    candidate: str
    truth: str
    right: str


def _better_then_worse(doer: str) -> tuple[Story, ...]:
    return (
        Story(doer=doer, candidate=f"{doer}-v2", truth="better by 0.07", right="Promoted"),
        Story(doer=doer, candidate=f"{doer}-v3", truth="worse by 0.25", right="RolledBack"),
    )


STORIES: dict[str, tuple[Story, ...]] = {
    "planner": _better_then_worse("planner"),
    "coder": _better_then_worse("coder"),
    "reviewer": (
        Story(
            doer="reviewer",
            candidate="reviewer-v2",
            truth="equal, but grounding is broken",
            right="RolledBack: grounding",
        ),
        Story(doer="reviewer", candidate="reviewer-v3", truth="no better", right="Futile"),
    ),
}
