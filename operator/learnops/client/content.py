"""From a draw to a policy that can be run: the content that belongs to a name."""

from learnops.client.assignment import Assignment, Drawn
from learnops.client.policy import Policy
from learnops.client.settings import Settings
from learnops.client.snapshot import Snapshot, SnapshotHolder, View
from learnops.client.source import SnapshotSource
from learnops.client.telemetry import Telemetry


class Contents:
    """Finds policies' contents in the snapshot, and asks the api where a draw is ahead of it."""

    def __init__(
        self,
        *,
        settings: Settings,
        holder: SnapshotHolder,
        source: SnapshotSource,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._holder = holder
        self._source = source
        self._telemetry = telemetry
        self._asked_in_vain: View | None = None

    def prepare(self, drawn: Drawn) -> Assignment | None:
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

    def serving(self, snapshot: Snapshot) -> Policy:
        """What this process serves, whatever anybody drew."""
        name = self._settings.serving or ""
        return snapshot.policies.get(name) or Policy(name=name)

    def _content(self, drawn: Drawn) -> Policy | None:
        view = self._holder.view
        if view is None or _is_outdated(drawn, view.snapshot):
            return None
        if self._settings.serving is not None:
            return self.serving(view.snapshot)
        # Once for all runs of a batch: each question may take as long as an agent waits at most.
        if drawn.policy not in view.snapshot.policies and view is not self._asked_in_vain:
            self._source.refresh(timeout=self._settings.options.registration_seconds)
            view = self._asked_in_vain = self._holder.view or view
        return view.snapshot.policies.get(drawn.policy)


def _is_outdated(drawn: Drawn, snapshot: Snapshot) -> bool:
    """Whether an api replica that lags drew from traffic that is no longer served."""
    if drawn.revision >= snapshot.revision:
        return False
    served = any(it.policy == drawn.policy and it.percent > 0 for it in snapshot.shares)
    rollout = snapshot.rollout.id if snapshot.rollout else None
    return not served or drawn.rollout != rollout
