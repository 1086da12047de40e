"""The run log (Postgres), as the operator sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from learnops.domain.observed import History, Key, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout


class RunLogUnavailableError(Exception):
    """Postgres refused, timed out, or has a schema this version does not know."""


class RunLogRestoredError(RunLogUnavailableError):
    """The log does not hold what was read of it, or opened in it: an older one was restored."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """An analysis generation: runs from registration `first_seq` on are scored by `crl`.

    `crl` is `Doer.spec.crl` on the wire, `attempt` that of the candidate for whom it was read. The
    first generation is the rollout itself; each ends where the next one begins.
    """

    number: int
    first_seq: int
    attempt: int
    crl: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LogRows:
    """Columns of the resolved prefix after a watermark, in registration order (seq is gapless).

    As one candidate of the rollout sees it: `is_other` marks the runs of the other candidates.
    `total` counts every registration of the rollout, resolved or not; `overdue` counts those
    registered more than maturation + `grace` seconds ago that the prefix does not hold yet, at
    most among the next 1,000;
    `next_timeout_seconds` is how long until the first unresolved run times out (None: none open).
    `terms` holds each term that was asked for, normalised to [0, 1], as the run reported it: None
    where it did not, was withdrawn or timed out. `timed_out` is 1 for a run that was resolved by
    time, else 0. `generations` are all that the rollout has by now, oldest first.

    In a rollout whose unit is no run, each row is a unit: `loss` and `terms` are means over its
    runs (a run that did not report counts 1), `timed_out` is the share of them that timed out, and
    `worst` holds the highest value of each term that one of its runs reported; elsewhere it is
    empty, a run's worst being its own.
    """

    seq: Sequence[int]
    is_candidate: Sequence[bool]
    is_other: Sequence[bool]
    propensity: Sequence[float]  # π of the candidate
    control_propensity: Sequence[float]
    loss: Sequence[float]
    void: Sequence[bool]
    timed_out: Sequence[float]
    total: int
    overdue: int
    next_timeout_seconds: float | None
    generations: Sequence[Generation]
    terms: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    worst: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DriftWatch:
    """The watch of an active policy since a promotion. `id`: the Doer's UID, the revision
    of the traffic that made the policy active, and what runs are scored with, by dots."""

    id: str
    policy: str
    since_revision: int


@dataclass(frozen=True, kw_only=True)
class DriftRows:
    """The state that was saved (None: none yet), the number of the run that it ends with, and the
    losses after it, in the order in which they were stored (seq is gapless)."""

    state: str | None
    watermark: int
    seq: Sequence[int]
    loss: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class PairRows:
    """Columns of the resolved pairs of a shadow stage after a watermark; seq is gapless.

    `next_timeout_seconds` is how long until the first unresolved pair times out (None: none open).
    """

    seq: Sequence[int]
    candidate_loss: Sequence[float]
    control_loss: Sequence[float]
    next_timeout_seconds: float | None


class PairLog(Protocol):
    """The pairs of shadow stages; each call has a deadline, raises only RunLogUnavailableError."""

    async def shadow_pairs(
        self, *, key: Key, rollout: str, after: int, limit: int, reader: str = ""
    ) -> PairRows:
        """Resolve the pairs that are complete or due, then read those with seq > `after`.

        `reader` as in `RunLog.resolved_prefix`.
        """


class RunLog(Protocol):
    """Each call has a deadline and raises only RunLogUnavailableError."""

    async def resolved_prefix(
        self,
        *,
        key: Key,
        rollout: str,
        candidate: str,
        after: int,
        limit: int,
        grace_seconds: int,
        terms: Sequence[str] = (),
        reader: str = "",
    ) -> LogRows:
        """Resolve the runs whose time is up, then read the resolved prefix with seq > `after`.

        `reader` is the id of somebody who keeps what it has read up to `after`, a new one whenever
        it begins with the first run. RunLogRestoredError where the log does not hold all that this
        reader was given, also where its numbers belong to other runs now. Empty: nothing is kept.
        """

    async def history(self, *, key: Key) -> History:
        """All stage moves of the doer's policies, oldest first."""

    async def attempts(self, *, key: Key) -> dict[str, int]:
        """Rollouts and further generations opened so far, per identity of the candidate."""

    async def record_promotions(self, *, key: Key, rows: Sequence[Promotion]) -> None:
        """Append stage moves; a transition id that is already there is skipped."""

    async def open_rollout(self, *, key: Key, rollout: OpenRollout) -> None:
        """Write the row of an attempt; idempotent by id."""

    async def open_generation(self, *, key: Key, generation: OpenGeneration) -> None:
        """Begin a generation with the next registration; idempotent by rollout and number.

        It is the next attempt of the content of each candidate that it names.
        """

    async def close_rollout(self, *, key: Key, rollout: CloseRollout) -> None:
        """Mark an attempt as ended; idempotent."""

    async def drift_rows(self, *, key: Key, watch: DriftWatch, limit: int) -> DriftRows | None:
        """Open the watch unless it is, then read on from its watermark.

        Runs that are stored from then on are numbered. None: a newer watch of the doer is open.
        """

    async def save_drift(
        self, *, key: Key, watch: DriftWatch, state: str, watermark: int, alarmed: bool = False
    ) -> None:
        """Keep the detector's state; an older one than is there is left out.

        `alarmed`: it has raised its alarm, after which no run is numbered or read for this watch.
        """
