"""Which policy a run gets: drawn here from the watched traffic, registered while a canary lives."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.registration import Draw, Registered, RolloutRef, register, void
from learnops.api.assignment import Unit
from learnops.api.doer import Doer, Router
from learnops.api.served import TrafficStatus
from learnops.domain.assignment import Arm, choose
from learnops.domain.unit import epoch_of, tenant_epoch
from learnops.ports.clock import Clock
from learnops.server.batching import Batcher, BatchLimits, Queue
from learnops.server.metrics import Metrics
from learnops.server.models import Assignment, RunToAssign
from learnops.server.problems import Problem, not_found, unavailable
from learnops.server.state import LiveRollout, State, live_rollout
from learnops.server.tracker import DatabaseGate
from learnops.server.wake import Wake

_LIMITS = BatchLimits(batch=500, waiting=5_000, flushes=1)
_IDLE_BATCHERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """The traffic of one doer at one moment."""

    namespace: str
    doer: str
    traffic: TrafficStatus
    rollout: LiveRollout | None
    gateway_settled: bool  # a gateway draws, and its weights have had the time to take effect
    epoch: int | None  # the number of the present one, where the unit is a tenant's epoch

    @property
    def randomised(self) -> bool:
        return self.rollout is not None and 0 < self.rollout.percent < 100


class Assigner:
    """Draws and registers. Concurrent callers share transactions, one at a time per rollout."""

    def __init__(
        self,
        *,
        pool: Pool,
        gate: DatabaseGate,
        state: State,
        metrics: Metrics,
        voided: Wake,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._gate = gate
        self._state = state
        self._metrics = metrics
        self._voided = voided
        self._clock = clock
        self._batchers: dict[RolloutRef, Batcher[Draw, Registered | None]] = {}

    async def assign(
        self, *, namespace: str, doer: str, runs: Sequence[RunToAssign]
    ) -> tuple[int, list[Assignment]]:
        """The traffic's revision, and one assignment per run.

        Raises Problem (404 no such doer, or no traffic yet; 422 a text that cannot be hashed; 429;
        503 the database is known to be away, and there is something to register) and
        DatabaseUnavailableError: then nothing may be assumed, and repeating is safe.
        """
        served = self._served(namespace, doer)
        drawn = [_draw(run, served=served) for run in runs]
        registered = await self._register([item for item in drawn if item], served=served)
        found = iter(registered)
        assignments = [
            _assignment(run, found=next(found) if item else None, served=served)
            for run, item in zip(runs, drawn, strict=True)
        ]
        for assignment in assignments:
            self._metrics.assigned(
                (namespace, doer, self._label(namespace, assignment), assignment.arm.value)
            )
        return served.traffic.revision, assignments

    async def void(self, *, namespace: str, doer: str, run_ids: Sequence[str]) -> list[str]:
        """Void registrations that came too late; returns those that were not resolved yet."""
        voided = await void(self._pool, namespace=namespace, doer=doer, run_ids=run_ids)
        self._voided.set()
        return voided

    @property
    def queue(self) -> Queue:
        """Registrations that wait to be written, of the rollout with most of them."""
        return Queue(waiting=self._waiting, limit=_LIMITS.waiting)

    def _waiting(self) -> int:
        return max((each.waiting for each in self._batchers.values()), default=0)

    async def drain(self) -> None:
        """Wait until all that was asked for is written."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()

    def _served(self, namespace: str, name: str) -> _Served:
        doer, traffic = traffic_of(self._state, namespace=namespace, doer=name)
        age = self._state.revision_age((namespace, name))
        gateway = doer.spec.traffic.router is Router.GATEWAY_API
        return _Served(
            namespace=namespace,
            doer=name,
            traffic=traffic,
            rollout=live_rollout(traffic),
            gateway_settled=gateway and age >= doer.spec.traffic.settle_seconds,
            epoch=self._epoch(traffic),
        )

    def _epoch(self, traffic: TrafficStatus) -> int | None:
        length = None if traffic.assignment is None else traffic.assignment.epoch_seconds
        if length is None:
            return None
        return epoch_of(self._clock.now().timestamp(), epoch_seconds=length)

    async def _register(
        self, draws: Sequence[Draw], *, served: _Served
    ) -> Sequence[Registered | None]:
        if served.rollout is None or not draws:
            return []
        # At once: whoever asks waits to begin, and 503 means control to the SDK.
        if self._gate.reason is not None:
            raise unavailable(self._gate.reason)
        reference = RolloutRef(
            rollout=served.rollout.id, namespace=served.namespace, doer=served.doer
        )
        return await self._batcher(reference).submit(draws)

    def _batcher(self, reference: RolloutRef) -> Batcher[Draw, Registered | None]:
        batcher = self._batchers.get(reference)
        if batcher is None:
            if len(self._batchers) >= _IDLE_BATCHERS:
                busy = {ref: each for ref, each in self._batchers.items() if each.waiting}
                self._batchers = busy

            async def flush(draws: Sequence[Draw]) -> Sequence[Registered | None]:
                return await register(self._pool, rollout=reference, draws=draws)

            batcher = self._batchers[reference] = Batcher(flush, limits=_LIMITS)
        return batcher

    def _label(self, namespace: str, assignment: Assignment) -> str:
        known = self._state.policy((namespace, assignment.policy)) is not None
        return assignment.policy if known else "other"


def traffic_of(state: State, *, namespace: str, doer: str) -> tuple[Doer, TrafficStatus]:
    """The doer and its traffic; raises Problem 404 that says which of the two is missing."""
    found = state.doers.get((namespace, doer))
    if found is None:
        raise not_found(f"no Doer {doer!r} in namespace {namespace!r}")
    if found.status.traffic is None:
        raise not_found(
            f"Doer {doer!r} has no traffic yet: its condition Ready says what it waits for"
        )
    return found, found.status.traffic


def _draw(run: RunToAssign, *, served: _Served) -> Draw | None:
    """The draw to register; None where nothing is random, a gateway is still settling, or the
    session or tenant that a unit is made of was not told.

    Without a gateway nobody but us draws: a policy that the caller chose itself is no evidence.
    """
    rollout, unit_id = served.rollout, _unit_id(run, served=served)
    if rollout is None or unit_id is None or not served.randomised:
        return None
    if run.policy is not None:
        known = (rollout.control, *rollout.candidates)
        if not served.gateway_settled or run.policy not in known:
            return None
        policy = run.policy
    else:
        policy = _hash(run, unit_id=unit_id, rollout=rollout)
    return Draw(
        run_id=run.run_id,
        unit_id=unit_id,
        arm=(Arm.CONTROL if policy == rollout.control else Arm.CANDIDATE).value,
        policy=policy,
        propensity=rollout.propensity,
        revision=served.traffic.revision,
        propensities=rollout.propensities,
        epoch=served.epoch,
    )


def _unit_id(run: RunToAssign, *, served: _Served) -> str | None:
    """What is hashed; None where the caller did not tell the session or the tenant."""
    assignment = served.traffic.assignment
    if assignment is None:
        return run.unit_id or run.run_id
    if run.unit_id is None or assignment.unit is Unit.SESSION or served.epoch is None:
        return run.unit_id
    return tenant_epoch(run.unit_id, epoch=served.epoch)


def _hash(run: RunToAssign, *, unit_id: str, rollout: LiveRollout) -> str:
    try:
        chosen = choose(rollout.id, unit_id, rollout.regions)
    except ValueError as error:
        field = "runs.unitId" if run.unit_id else "runs.runId"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {error}", field=field) from error
    return rollout.control if chosen is None else chosen


def _assignment(run: RunToAssign, *, found: Registered | None, served: _Served) -> Assignment:
    rollout = served.rollout
    # A candidate that was dropped meanwhile is served to nobody, whatever was drawn before.
    if found is not None and rollout is not None and found.policy in rollout.propensities:
        return Assignment(
            run_id=run.run_id,
            arm=Arm(found.arm),
            policy=found.policy,
            propensity=found.propensity,
            rollout=rollout.id,
            revision=found.revision,
            registered=found.counts,
        )
    arm, policy, propensity = _certain(run, served=served)
    return Assignment(
        run_id=run.run_id,
        arm=arm,
        policy=policy,
        propensity=propensity,
        rollout=None,
        revision=served.traffic.revision,
        registered=False,
    )


def _certain(run: RunToAssign, *, served: _Served) -> tuple[Arm, str, float]:
    rollout = served.rollout
    if rollout is not None and run.policy in rollout.candidates:
        return Arm.CANDIDATE, run.policy, rollout.propensity
    if rollout is not None and rollout.percent == 100 and run.policy is None:
        unit_id = _unit_id(run, served=served) or run.run_id
        return Arm.CANDIDATE, _hash(run, unit_id=unit_id, rollout=rollout), 1.0
    return Arm.CONTROL, run.policy or served.traffic.active, 0.0
