"""The run log of the simulated world: what is on record, and whether it can be reached."""

from typing import Any

from learnops.api.crl import CRL
from learnops.domain.observed import GenerationReading, History, Promotion
from learnops.domain.outcome import ErrorReason, Unavailable
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout
from learnops.domain.planner import content


class RunLogDownError(Exception):
    """It does not answer."""


class RunLog:
    """Rows by transition id, rollouts by id; both idempotent."""

    def __init__(self) -> None:
        self.up = True
        self.rows: dict[str, Promotion] = {}
        self.rollouts: dict[str, OpenRollout] = {}
        self.generations: dict[str, list[GenerationReading]] = {}
        self.closed: dict[str, str] = {}

    def history(self) -> History | Unavailable:
        """All moves, oldest first."""
        return History(promotions=tuple(self.rows.values())) if self.up else _DOWN

    def attempts(self) -> dict[str, int] | Unavailable:
        """Generations of rollouts opened so far, per identity."""
        if not self.up:
            return _DOWN
        counts: dict[str, int] = {}
        for rollout in self.rollouts.values():
            opened = len(self.generations[rollout.rollout])
            counts[rollout.identity] = counts.get(rollout.identity, 0) + opened
        return counts

    def record(self, rows: tuple[Promotion, ...]) -> None:
        """Append what is new."""
        self._reach()
        for row in rows:
            self.rows.setdefault(row.transition_id, row)

    def open(self, rollout: OpenRollout) -> None:
        """The first row of an id stays."""
        self._reach()
        if self.rollouts.setdefault(rollout.rollout, rollout) is rollout:
            first = _generation(1, attempt=rollout.attempt, crl=rollout.crl)
            self.generations[rollout.rollout] = [first]

    def open_generation(self, it: OpenGeneration) -> bool:
        """The first row of a number stays; whether it is this one."""
        self._reach()
        opened = self.generations[it.rollout]
        if any(one.number == it.number for one in opened):
            return False
        attempts = self.attempts()
        assert isinstance(attempts, dict)
        attempt = 1 + attempts[self.rollouts[it.rollout].identity]
        opened.append(_generation(it.number, attempt=attempt, crl=it.crl))
        return True

    def close(self, rollout: CloseRollout) -> None:
        """Mark as ended."""
        self._reach()
        self.closed.setdefault(rollout.rollout, rollout.outcome)

    def _reach(self) -> None:
        if not self.up:
            raise RunLogDownError


def _generation(number: int, *, attempt: int, crl: dict[str, Any]) -> GenerationReading:
    digest = content.crl_digest(CRL.model_validate(crl))
    return GenerationReading(number=number, attempt=attempt, crl_digest=digest)


_DOWN = Unavailable(reason=ErrorReason.RUN_LOG_UNAVAILABLE, message="connection refused")
