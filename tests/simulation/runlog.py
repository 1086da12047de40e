"""The run log of the simulated world: what is on record, and whether it can be reached."""

from typing import Any

from learnops.api.crl import CRL
from learnops.domain.observed import GenerationReading, History, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout
from learnops.domain.planner import content
from learnops.domain.unavailable import ErrorReason, Unavailable


class RunLogDownError(Exception):
    """It does not answer."""


class RunLog:
    """Rows by transition id, rollouts by id; both idempotent."""

    def __init__(self) -> None:
        self.up = True
        self.rows: dict[str, Promotion] = {}
        self.ever: dict[str, Promotion] = {}  # also what a restore has lost since
        self.rollouts: dict[str, OpenRollout] = {}
        # By rollout and candidate.
        self.generations: dict[tuple[str, str], list[GenerationReading]] = {}
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
            for tried in rollout.candidates:
                opened = len(self.generations[rollout.rollout, tried.name])
                counts[tried.identity] = counts.get(tried.identity, 0) + opened
        return counts

    def record(self, rows: tuple[Promotion, ...]) -> None:
        """Append what is new."""
        self._reach()
        for row in rows:
            self.rows.setdefault(row.transition_id, row)
            self.ever.setdefault(row.transition_id, row)

    def open(self, rollout: OpenRollout) -> None:
        """The first row of an id stays."""
        self._reach()
        if self.rollouts.setdefault(rollout.rollout, rollout) is rollout:
            for tried in rollout.candidates:
                first = _generation(1, attempt=tried.attempt, crl=rollout.crl)
                self.generations[rollout.rollout, tried.name] = [first]

    def open_generation(self, it: OpenGeneration) -> bool:
        """The first row of a number stays; whether it is this one."""
        self._reach()
        tried = [one for one in self.rollouts[it.rollout].candidates if one.name in it.candidates]
        known = [one for each in tried for one in self.generations[it.rollout, each.name]]
        if any(one.number == it.number for one in known):
            return False
        attempts = self.attempts()
        assert isinstance(attempts, dict)
        for each in tried:
            begun = _generation(it.number, attempt=1 + attempts[each.identity], crl=it.crl)
            self.generations[it.rollout, each.name].append(begun)
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
