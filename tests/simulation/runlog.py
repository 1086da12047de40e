"""The run log of the simulated world: what is on record, and whether it can be reached."""

from learnops.domain.observed import History, Promotion
from learnops.domain.outcome import ErrorReason, Unavailable
from learnops.domain.plan import CloseRollout, OpenRollout


class RunLogDownError(Exception):
    """It does not answer."""


class RunLog:
    """Rows by transition id, rollouts by id; both idempotent."""

    def __init__(self) -> None:
        self.up = True
        self.rows: dict[str, Promotion] = {}
        self.rollouts: dict[str, OpenRollout] = {}
        self.closed: dict[str, str] = {}

    def history(self) -> History | Unavailable:
        """All moves, oldest first."""
        return History(promotions=tuple(self.rows.values())) if self.up else _DOWN

    def attempts(self) -> dict[str, int] | Unavailable:
        """Rollouts opened so far, per identity."""
        if not self.up:
            return _DOWN
        counts: dict[str, int] = {}
        for rollout in self.rollouts.values():
            for tried in rollout.candidates:
                counts[tried.identity] = counts.get(tried.identity, 0) + 1
        return counts

    def record(self, rows: tuple[Promotion, ...]) -> None:
        """Append what is new."""
        self._reach()
        for row in rows:
            self.rows.setdefault(row.transition_id, row)

    def open(self, rollout: OpenRollout) -> None:
        """The first row of an id stays."""
        self._reach()
        self.rollouts.setdefault(rollout.rollout, rollout)

    def close(self, rollout: CloseRollout) -> None:
        """Mark as ended."""
        self._reach()
        self.closed.setdefault(rollout.rollout, rollout.outcome)

    def _reach(self) -> None:
        if not self.up:
            raise RunLogDownError


_DOWN = Unavailable(reason=ErrorReason.RUN_LOG_UNAVAILABLE, message="connection refused")
