"""Which policy a run gets: locally while nothing is being tried, registered while a canary is."""

import time
from collections.abc import Callable
from dataclasses import replace

from learnops.client.assignment import Assignment
from learnops.client.content import Contents
from learnops.client.policy import Policy
from learnops.client.registrar import Registrar
from learnops.client.settings import Settings
from learnops.client.snapshot import Rollout, Snapshot, SnapshotHolder
from learnops.client.telemetry import Telemetry
from learnops.client.units import DrawnUnit, DrawnUnits, unit_of
from learnops.client.waiting import Steps, Wait
from learnops.domain.assignment import choose

CONTROL = "control"
CANDIDATE = "candidate"
_GATEWAY = "GatewayAPI"


class Router:
    """Routes runs of one doer. Thread-safe; never raises for anything the api does."""

    def __init__(
        self,
        *,
        settings: Settings,
        holder: SnapshotHolder,
        contents: Contents,
        registrar: Registrar,
        default_policy: Policy | None,
        telemetry: Telemetry,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._holder = holder
        self._contents = contents
        self._registrar = registrar
        self._default_policy = default_policy
        self._telemetry = telemetry
        self._clock = clock
        self._wall = wall
        self._units = DrawnUnits()
        self._began: float | None = None  # monotonic seconds

    def begin(self) -> None:
        """Count from now how long runs may wait for the first snapshot; again: nothing. A forked
        child asks for one with its first run, which may be hours after the fork."""
        if self._began is None:
            self._began = time.monotonic()

    def assign(
        self, *, run_id: str, session: str | None = None, tenant: str | None = None
    ) -> Steps[Assignment]:
        """The policy, arm and π of a run, drawn for the unit that the doer asks for."""
        view = self._holder.view
        if view is None:
            yield Wait(signal=self._holder.first, seconds=self._patience())
            view = self._holder.view
        if view is None:
            return self._without_snapshot(run_id)
        snapshot = view.snapshot
        rollout = snapshot.rollout
        unit = unit_of(
            snapshot.unit, run_id=run_id, session=session, tenant=tenant, now=self._wall()
        )
        drawn = self._drawn(rollout, unit)
        if drawn is not None and drawn.run_id == run_id:
            return drawn
        if not view.fresh(self._clock()):
            self._telemetry.count("dead_man_switch")
            if drawn is not None:
                return replace(drawn, rollout=None, run_id=run_id)
            return self._control(snapshot, run_id)
        if rollout is None:
            return self._local(snapshot, run_id, session or run_id)
        if rollout.percent in (0.0, 100.0):
            return self._decided(snapshot, rollout, run_id=run_id, unit=unit)
        if unit is None:
            return self._without_unit(snapshot, run_id)
        return (yield from self._registered(snapshot, drawn, run_id=run_id, unit=unit))

    def _patience(self) -> float:
        """Seconds that a run may wait for the first snapshot, never more than was said: tests stop
        and turn the clock of their process."""
        longest = self._settings.options.first_snapshot_seconds
        since = 0.0 if self._began is None else time.monotonic() - self._began
        return min(max(longest - since, 0.0), longest)

    def _drawn(self, rollout: Rollout | None, unit: DrawnUnit | None) -> Assignment | None:
        """What the unit has, unless it was a candidate that was dropped since."""
        found = self._units.get(rollout.id, unit.key) if rollout and unit else None
        if found is None or rollout is None:
            return None
        served = (rollout.control, *rollout.candidates)
        return found if found.policy.name in served else None

    def _without_unit(self, snapshot: Snapshot, run_id: str) -> Assignment:
        """Drawn by itself, the run would be judged as what it is not."""
        what = "session" if snapshot.unit.name == "Session" else "tenant"
        self._telemetry.count("runs_without_unit")
        self._telemetry.warn(
            "unit",
            "doer %s draws for each %s: give Learner.start(%s=...); until then its runs get "
            "control and are no evidence",
            self._settings.doer,
            what,
            what,
        )
        return self._control(snapshot, run_id)

    def _registered(
        self, snapshot: Snapshot, drawn: Assignment | None, *, run_id: str, unit: DrawnUnit
    ) -> Steps[Assignment]:
        serving = self._settings.serving
        if snapshot.router == _GATEWAY and serving is None:
            self._telemetry.warn(
                "serving",
                "doer %s is routed by a gateway: tell Learner(serving=...) which policy this "
                "process serves; until then its runs are no evidence",
                self._settings.doer,
            )
            return self._control(snapshot, run_id)
        assignment = yield from self._registrar.register(
            run_id=run_id, unit_id=unit.told, policy=serving
        )
        if assignment is None:
            self._telemetry.count("runs_unregistered")
            if drawn is None:
                return self._control(snapshot, run_id)
            # A unit that was drawn keeps its arm; this run of it is just no evidence.
            return replace(drawn, rollout=None, run_id=run_id)
        if assignment.rollout is not None:
            self._units.put(assignment.rollout, unit.key, assignment)
        return assignment

    def _local(self, snapshot: Snapshot, run_id: str, unit_id: str) -> Assignment:
        """No canary is live: the shares alone decide, by the keyed hash."""
        others = [share for share in snapshot.shares if share.policy != snapshot.active]
        chosen = choose(snapshot.salt, unit_id, others) if snapshot.salt else None
        arm, name = (CONTROL, snapshot.active) if chosen is None else (CANDIDATE, chosen)
        propensity = sum(share.percent for share in others) / 100.0
        return self._given(snapshot, name, arm=arm, propensity=propensity, run_id=run_id)

    def _decided(
        self, snapshot: Snapshot, rollout: Rollout, *, run_id: str, unit: DrawnUnit | None
    ) -> Assignment:
        """A share of 0 or 100 %: control is certain or impossible, so nothing is evidence."""
        others = [share for share in snapshot.shares if share.policy in rollout.candidates]
        name = choose(rollout.id, unit.key if unit else run_id, others)
        if name is None:
            return self._control(snapshot, run_id)
        return self._given(snapshot, name, arm=CANDIDATE, propensity=1.0, run_id=run_id)

    def _control(self, snapshot: Snapshot, run_id: str) -> Assignment:
        return self._given(snapshot, snapshot.control, arm=CONTROL, propensity=0.0, run_id=run_id)

    def _given(
        self, snapshot: Snapshot, name: str, *, arm: str, propensity: float, run_id: str
    ) -> Assignment:
        """An assignment that is no evidence."""
        policy = snapshot.policies.get(name)
        if self._settings.serving is not None:
            policy, arm = self._contents.serving(snapshot), self._serving_arm(snapshot)
        if policy is None:  # contents lag behind the shares: control's are always there
            policy, arm, propensity = snapshot.policies[snapshot.control], CONTROL, 0.0
        return Assignment(
            policy=policy,
            arm=arm,
            propensity=propensity,
            revision=snapshot.revision,
            rollout=None,
            run_id=run_id,
        )

    def _serving_arm(self, snapshot: Snapshot) -> str:
        rollout = snapshot.rollout
        return CANDIDATE if rollout and self._settings.serving in rollout.candidates else CONTROL

    def _without_snapshot(self, run_id: str) -> Assignment:
        self._telemetry.count("runs_without_snapshot")
        self._telemetry.warn(
            "fallback",
            "no snapshot of doer %s within %g s; runs go on with the default policy",
            self._settings.doer,
            self._settings.options.first_snapshot_seconds,
        )
        policy = self._default_policy or Policy(name=self._settings.serving or "")
        return Assignment(
            policy=policy, arm=CONTROL, propensity=0.0, revision=0, rollout=None, run_id=run_id
        )
