"""Background work on the run log: timeouts, the resolved prefix, and the series that end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool
from learnops.adapters.postgres.mirror import mirror_policies, mirror_share
from learnops.adapters.postgres.prefix import OpenPrefix, extend, open_prefixes, time_out
from learnops.adapters.postgres.schema import (
    ReadOnlyError,
    SchemaMismatchError,
    read_revision,
    refuse_read_only,
    refuse_unless_head,
)
from learnops.api.policy import Policy, Stage
from learnops.domain.observed import Key
from learnops.ports.clock import Clock
from learnops.server.metrics import ArmLabels, DoerLabels, Metrics
from learnops.server.outage import Outage
from learnops.server.state import State, live_rollout
from learnops.server.wake import Wake
from learnops.server.wakeups import Wakeups

log = logging.getLogger(__name__)

# A run counts at most this long after its bundle or its timeout.
PREFIX_PERIOD_SECONDS = 0.5
MIRROR_PERIOD_SECONDS = 1.0
# Long enough for the operator to have read the last figures of a rollout, or a policy, that ended.
KEEP_SERIES_SECONDS = 600.0


class DatabaseGate:
    """Whether the database is there, takes writes and has the schema of this version; the reason if
    not."""

    def __init__(self, *, pool: Pool, outage: Outage, clock: Clock) -> None:
        self._pool = pool
        self._outage = outage
        self._clock = clock
        self._looked_at: float | None = None
        self.reason: str | None = "the database was not reached yet"
        self.revision: str | None = None  # of the schema, as last seen
        self.latency_seconds: float | None = None  # of the last look that was answered

    def age_seconds(self) -> float | None:
        """Since the last look ended; None before the first."""
        return None if self._looked_at is None else self._clock.monotonic() - self._looked_at

    async def check(self) -> None:
        """Look again; never raises."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(3.0), self._pool.connection() as connection:
                self.revision = await read_revision(connection)
                self.latency_seconds = self._clock.monotonic() - began
                refuse_unless_head(self.revision)
                await refuse_read_only(connection)
        except (SchemaMismatchError, ReadOnlyError) as error:
            if self.reason != str(error):
                log.error("%s", error)
            self.reason = str(error)
        except Exception as error:  # noqa: BLE001 - a probe: any failure means "not there"
            self.reason = "the database does not answer"
            self._outage.away("probe", str(error).strip() or type(error).__name__)
        else:
            self.reason = None
            self._outage.back("probe")
        self._looked_at = self._clock.monotonic()


class PrefixTracker:
    """Resolves by time, extends the prefixes, and counts what enters them."""

    def __init__(
        self,
        *,
        pool: Pool,
        metrics: Metrics,
        wake: Wake,
        wakeups: Wakeups,
        clock: Clock,
        outage: Outage,
        keep_seconds: float = KEEP_SERIES_SECONDS,
    ) -> None:
        self._keep_seconds = keep_seconds
        self._pool = pool
        self._outage = outage
        self._metrics = metrics
        self._wake = wake
        self._wakeups = wakeups
        self._clock = clock
        self._failing: set[str] = set()  # rollouts whose prefix could not be extended

    async def run(self) -> None:
        """For ever; an unreachable database is tried again a period later."""
        while True:
            await guarded(self.step, what="prefix", outage=self._outage)
            await self._wake.wait(period_seconds=PREFIX_PERIOD_SECONDS)

    async def step(self) -> None:
        """Once. Raises DatabaseUnavailableError."""
        asked_at = self._clock.monotonic()
        rollouts = await open_prefixes(self._pool, recent_seconds=self._keep_seconds)
        due = [each.rollout for each in rollouts if each.due]
        if due:
            await time_out(self._pool, rollouts=due)
        for rollout in rollouts:
            if rollout.growing or rollout.due:
                await self._extend_alone(rollout)
        # Only now: whoever reads that nothing is late must find all of it counted.
        self._expose_lags(rollouts, asked_at=asked_at)
        known = {each.rollout for each in rollouts}
        self._failing &= known
        for ended in self._metrics.evidence_rollouts() - known:
            self._metrics.forget_rollout(ended)

    async def _extend_alone(self, rollout: OpenPrefix) -> None:
        try:
            await self._extend(rollout)
        except DatabaseUnavailableError:
            raise
        except Exception:  # a queue worker's guard: one bad rollout must not hold up all others
            if rollout.rollout not in self._failing:
                log.exception("the prefix of rollout %s cannot be extended", rollout.rollout)
            self._failing.add(rollout.rollout)
        else:
            self._failing.discard(rollout.rollout)

    async def _extend(self, rollout: OpenPrefix) -> None:
        parts = await extend(self._pool, rollout=rollout)
        for part in parts:
            self._metrics.counted(part)
        if parts:
            await self._wakeups.tell({Key(namespace=rollout.namespace, doer=rollout.doer)})

    def _expose_lags(self, rollouts: list[OpenPrefix], *, asked_at: float) -> None:
        worst: dict[DoerLabels, float] = {}
        for each in rollouts:
            if each.lag_seconds is not None:
                doer = (each.namespace, each.doer)
                worst[doer] = max(worst.get(doer, 0.0), each.lag_seconds)
        self._metrics.prefix_lags(
            {doer: partial(self._lag, lag, asked_at) for doer, lag in worst.items()}
        )

    def _lag(self, lag: float, asked_at: float) -> float:
        return lag + self._clock.monotonic() - asked_at


@dataclass
class Mirror:
    """Writes what the api sees to `policies` and `shadow_deployments.allocation_pct`."""

    pool: Pool
    state: State
    outage: Outage
    _shares: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever; what could not be written is tried again."""
        while True:
            await guarded(self.step, what="mirror", outage=self.outage)
            await asyncio.sleep(MIRROR_PERIOD_SECONDS)

    async def step(self) -> None:
        """Once. Raises DatabaseUnavailableError; nothing is lost then."""
        # Taken before the write: what changes meanwhile is written by the next step.
        names, self.state.policies_changed = self.state.policies_changed, set()
        policies = [policy for name in names if (policy := self.state.policies.get(name))]
        try:
            if policies:
                await self._mirror_policies(policies)
        except DatabaseUnavailableError:
            self.state.policies_changed |= names
            raise
        await self._mirror_shares()

    async def _mirror_policies(self, policies: list[Policy]) -> None:
        try:
            await mirror_policies(self.pool, policies=policies)
        except DatabaseUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - a queue worker's guard: found out one by one, and logged
            for policy in policies:
                await self._mirror_alone(policy)

    async def _mirror_alone(self, policy: Policy) -> None:
        try:
            await mirror_policies(self.pool, policies=[policy])
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; it is not tried again until it changes
            what = str(error).strip().partition("\n")[0] or type(error).__name__
            name = f"{policy.metadata.namespace}/{policy.metadata.name}"
            log.error("Policy %s cannot be mirrored until it changes: %s", name, what)

    async def _mirror_shares(self) -> None:
        live: dict[str, int] = {}
        for doer in self.state.doers.all():
            traffic = doer.status.traffic
            rollout = None if traffic is None else live_rollout(traffic)
            if rollout is None:
                continue
            if self._shares.get(rollout.id) != rollout.percent:
                await mirror_share(self.pool, rollout=rollout.id, percent=rollout.percent)
            live[rollout.id] = rollout.percent
        self._shares = live


class SeriesKeeper:
    """Lets the series of archived and deleted policies go, after a while."""

    def __init__(
        self,
        *,
        state: State,
        metrics: Metrics,
        clock: Clock,
        keep_seconds: float = KEEP_SERIES_SECONDS,
    ) -> None:
        self._keep_seconds = keep_seconds
        self._state = state
        self._metrics = metrics
        self._clock = clock
        self._gone_since: dict[ArmLabels, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            self.step()
            await asyncio.sleep(self._keep_seconds / 20)

    def step(self) -> None:
        """Once."""
        now = self._clock.monotonic()
        gone = {labels for labels in self._metrics.arms() if self._is_gone(labels)}
        self._gone_since = {labels: self._gone_since.get(labels, now) for labels in gone}
        for labels, since in list(self._gone_since.items()):
            if now - since >= self._keep_seconds:
                self._metrics.forget_arm(labels)
                del self._gone_since[labels]

    def _is_gone(self, labels: ArmLabels) -> bool:
        namespace, doer, policy, _arm = labels
        if self._state.doers.get((namespace, doer)) is None:
            return True
        if policy == "other":
            return False
        found = self._state.policy((namespace, policy))
        return found is None or found.status.stage in (Stage.ARCHIVED, Stage.REJECTED)


async def guarded(step: Callable[[], Awaitable[None]], *, what: str, outage: Outage) -> None:
    """One step of a loop that must go on: an outage is told once, a bug with its traceback."""
    try:
        await step()
        outage.back(what)
    except DatabaseUnavailableError as error:
        outage.away(what, str(error))
    except Exception:
        # A queue worker's guard: one bad rollout must not end the loop for all others.
        log.exception("bug in %s", what)
