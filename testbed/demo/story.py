"""Plays the stories: changes `policyRef` as a user would and waits for the operator's verdict."""

import dataclasses
import time

from testbed.controlplane import ControlPlane
from testbed.demo.cluster import GROUP, Rollout, State
from testbed.demo.truth import STORIES, Story


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """How a story ended; ``rollout`` is None if it never did."""

    story: Story
    rollout: Rollout | None
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the verdict agrees with the truth."""
        return self.rollout is not None and self.rollout.verdict == self.story.right

    @property
    def late(self) -> bool:
        """Whether there was no verdict in time: nothing is wrong then, and nothing shown."""
        return not self.right and (self.rollout is None or not self.rollout.ended)


class Player:
    """Plays one doer's stories one after the other; driven by `advance` with each new state."""

    def __init__(self, doer: str, plane: ControlPlane) -> None:
        self._plane = plane
        self._doer = doer
        self._left = list(STORIES[doer])
        self._started: float | None = None
        self.endings: list[Ending] = []

    @property
    def done(self) -> bool:
        """Whether all stories have ended."""
        return not self._left

    def advance(self, state: State) -> None:
        """Start the next story when the doer is at rest; note the end of the present one."""
        if self.done:
            return
        if self._started is None:
            if state.active.get(self._doer):
                self._begin(self._left[0])
            return
        rollout = self._rollout(state)
        if rollout is not None and rollout.ended:
            self._end(rollout)

    def give_up(self, state: State) -> None:
        """Close what is left as not ended, for the table."""
        while self._left:
            self._end(self._rollout(state))

    def _begin(self, story: Story) -> None:
        # What `kubectl edit` or a merge in git does: one field of the Doer changes.
        self._plane.api.merge(
            f"{GROUP}/doers/{self._doer}", {"spec": {"policyRef": {"name": story.candidate}}}
        )
        self._started = time.monotonic()

    def _end(self, rollout: Rollout | None) -> None:
        seconds = 0.0 if self._started is None else time.monotonic() - self._started
        self.endings.append(Ending(story=self._left.pop(0), rollout=rollout, seconds=seconds))
        self._started = None

    def _rollout(self, state: State) -> Rollout | None:
        wanted = self._left[0].candidate
        return next((one for one in state.rollouts if one.candidate == wanted), None)
