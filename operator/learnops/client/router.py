"""Which policy a run gets: locally while nothing is being tried, registered while a canary is."""

import time
from collections.abc import Callable
from dataclasses import replace

from learnops.client.assignment import Assignment
from learnops.client.policy import Policy
from learnops.client.registrar import Drawn, Registrar
from learnops.client.settings import Settings
from learnops.client.snapshot import Rollout, Snapshot, SnapshotHolder
from learnops.client.source import SnapshotSource
from learnops.client.telemetry import Telemetry
from learnops.client.units import DrawnUnits
from learnops.domain.assignment import position

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
        source: SnapshotSource,
        default_policy: Policy | None,
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._holder = holder
        self._source = source
        self._default_policy = default_policy
        self._telemetry = telemetry
        self._clock = clock
        self._units = DrawnUnits()
        self._first_snapshot_by = time.monotonic() + settings.options.first_snapshot_seconds

    def assign(self, registrar: Registrar, *, run_id: str, unit_id: str) -> Assignment:
        """The policy, arm and π of a run."""
        view = self._holder.view
        if view is None:
            view = self._holder.wait(self._first_snapshot_by - time.monotonic())
        if view is None:
            return self._without_snapshot(run_id)
        snapshot = view.snapshot
        rollout = snapshot.rollout
        drawn = self._units.get(rollout.id, unit_id) if rollout else None
        if drawn is not None and drawn.run_id == run_id:
            return drawn
        if not view.fresh(self._clock()):
            self._telemetry.count("dead_man_switch")
            return drawn or self._control(snapshot, run_id)
        if rollout is None:
            return self._local(snapshot, run_id, unit_id)
        if rollout.percent in (0.0, 100.0):
            return self._decided(snapshot, rollout, run_id)
        return self._registered(snapshot, drawn, run_id=run_id, unit_id=unit_id)

    def _registered(
        self, snapshot: Snapshot, drawn: Assignment | None, *, run_id: str, unit_id: str
    ) -> Assignment:
        serving = self._settings.serving
        if snapshot.router == _GATEWAY and serving is None:
            self._telemetry.warn(
                "serving",
                "doer %s is routed by a gateway: tell Learner(serving=...) which policy this "
                "process serves; until then its runs are no evidence",
                self._settings.doer,
            )
            return self._control(snapshot, run_id)
        assignment = self._registrar.register(run_id=run_id, unit_id=unit_id, policy=serving)
        if assignment is None:
            self._telemetry.count("runs_unregistered")
            # A unit that was drawn keeps its arm; this run of it is just no evidence.
            return replace(drawn, rollout=None, run_id=run_id) if drawn else self._control(
                snapshot, run_id
            )
        if assignment.rollout is not None:
            self._units.put(assignment.rollout, unit_id, assignment)
        return assignment

    def _prepare(self, drawn: Drawn) -> Assignment | None:
        """The api's draw with the policy's content, None if it must not be used."""
        policy = self._content(drawn)
        if policy is None:
            self._telemetry.count("draws_unusable")
            return None
        return Assignment(
            policy=policy,
            arm=drawn.arm,
            propensity=drawn.propensity,
            revision=drawn.revision,
            rollout=drawn.rollout if drawn.registered else None,
            run_id=drawn.run_id,
        )

    def _content(self, drawn: Drawn) -> Policy | None:
        view = self._holder.view
        if view is None or _is_outdated(drawn, view.snapshot):
            return None
        if self._settings.serving is not None:
            return self._serving(view.snapshot)
        if drawn.policy not in view.snapshot.policies:
            self._source.refresh(timeout=self._settings.options.registration_seconds)
            view = self._holder.view or view
        return view.snapshot.policies.get(drawn.policy)

    def _local(self, snapshot: Snapshot, run_id: str, unit_id: str) -> Assignment:
        """No canary is live: the shares alone decide, by the keyed hash."""
        others = [(p, percent) for p, percent in snapshot.shares if p != snapshot.active]
        policy, percent = others[0] if others else (snapshot.active, 0.0)
        propensity = percent / 100.0
        chosen = 0.0 < propensity and position(snapshot.salt or "-", unit_id) < propensity
        arm, name = (CANDIDATE, policy) if chosen else (CONTROL, snapshot.active)
        return self._given(snapshot, name, arm=arm, propensity=propensity, run_id=run_id)

    def _decided(self, snapshot: Snapshot, rollout: Rollout, run_id: str) -> Assignment:
        """A share of 0 or 100 %: nothing is drawn, nothing to register."""
        if rollout.percent == 0.0:
            return self._control(snapshot, run_id)
        name = rollout.candidate
        return self._given(snapshot, name, arm=CANDIDATE, propensity=1.0, run_id=run_id)

    def _control(self, snapshot: Snapshot, run_id: str) -> Assignment:
        return self._given(snapshot, snapshot.control, arm=CONTROL, propensity=0.0, run_id=run_id)

    def _given(
        self, snapshot: Snapshot, name: str, *, arm: str, propensity: float, run_id: str
    ) -> Assignment:
        """An assignment that is no evidence."""
        policy = snapshot.policies.get(name)
        if self._settings.serving is not None:
            policy = self._serving(snapshot)
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

    def _serving(self, snapshot: Snapshot) -> Policy:
        """What this process serves whatever anybody drew."""
        name = self._settings.serving or ""
        return snapshot.policies.get(name) or Policy(name=name)

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


def _is_outdated(drawn: Drawn, snapshot: Snapshot) -> bool:
    """Whether an api replica that lags drew from traffic that is no longer served."""
    if drawn.revision >= snapshot.revision:
        return False
    served = any(policy == drawn.policy and percent > 0 for policy, percent in snapshot.shares)
    rollout = snapshot.rollout.id if snapshot.rollout else None
    return not served or drawn.rollout != rollout
