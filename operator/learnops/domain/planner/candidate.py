"""What stands between a canary and its first traffic. First match is what the status says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from learnops.api.canary import CanaryDeployment, Run
from learnops.api.guardrails import on_terms
from learnops.api.policy import Stage
from learnops.api.rollout import Source
from learnops.domain.arms import candidates_of
from learnops.domain.planner import content, reports, slots
from learnops.domain.planner.draft import Draft
from learnops.domain.unavailable import Unavailable

CANARIES_DISABLED = "the operator to be started without --disable canaries"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a canary cannot start. `blocked`: not before a person acts; it then holds up no other."""

    reason: str
    message: str
    blocked: bool = False


def obstacle(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """The first thing in the way; None: it may start as soon as it is its turn."""
    return _first(check(draft, canary) for check in (*_OWN, *_AROUND))


def _first(found: Iterable[Obstacle | None]) -> Obstacle | None:
    return next((it for it in found if it is not None), None)


def contends(draft: Draft, canary: CanaryDeployment) -> bool:
    """Whether a canary stands in the queue: one that cannot start by itself harms no other."""
    if canary.metadata.deletion_timestamp is not None:
        return False
    return not any(it.blocked for check in _OWN if (it := check(draft, canary)))


def find_policy(draft: Draft, name: str) -> Obstacle | None:
    """Whether a policy of this doer is there and readable."""
    for broken in draft.snap.invalid:
        if (broken.kind, broken.name) == ("Policy", name):
            message = f"policy {name} cannot be read: {broken.message}"
            return Obstacle(reason="PolicyInvalid", message=message, blocked=True)
    policy = draft.snap.policies.get(name)
    if policy is None:
        message = f"policy {name} of doer {draft.snap.key.doer} does not exist: apply it"
        return Obstacle(reason="PolicyNotFound", message=message, blocked=True)
    if policy.spec.doer_ref.name != draft.snap.key.doer:
        message = f"policy {name} belongs to doer {policy.spec.doer_ref.name}"
        return Obstacle(reason="PolicyInvalid", message=message, blocked=True)
    return None


def _gateway_needs_counters(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """A gateway does not draw by our hash, so its run log carries no known propensity."""
    if not slots.by_gateway(draft.doer) or canary.spec.analysis.source is Source.PROMETHEUS:
        return None
    message = "spec.analysis.source must be Prometheus where the doer's router is GatewayAPI"
    return Obstacle(reason="InvalidSpec", message=message, blocked=True)


def _gateway_has_two_slots(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """One backend carries control and one a candidate."""
    if not slots.by_gateway(draft.doer) or len(canary.spec.candidate_refs) == 1:
        return None
    message = (
        "spec.candidateRefs must name one policy where the doer's router is GatewayAPI, whose "
        "route has two backends: make one canary after the other"
    )
    return Obstacle(reason="InvalidSpec", message=message, blocked=True)


def unweighed(draft: Draft, canary: CanaryDeployment) -> list[str]:
    """Guarded terms that the weights in force, as far as there are any, do not weigh."""
    weights = draft.scoring.weights
    told = {} if weights is None else weights.to_wire()
    weighed = {term for term, weight in told.items() if float(weight)}
    return [it.term for it in on_terms(canary.spec.analysis.guardrails) if it.term not in weighed]


def _guardrails_weighed(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """A term that nobody is asked to report would count 1 in both arms and guard nothing."""
    if draft.scoring.weights is None:
        return None  # `_weights_known` stands in the way
    # Where the spec has no weights they are decided anew before this canary starts: what they will
    # be must not be kept from it by what they are.
    coming = reports.default_weights_now(draft)
    unknown = [term for term in unweighed(draft, canary) if term not in coming]
    if not unknown:
        return None
    message = f"spec.analysis.guardrails names {unknown[0]}, {_unweighed_by(draft, bool(coming))}"
    return Obstacle(reason="InvalidSpec", message=message, blocked=True)


def _unweighed_by(draft: Draft, reported: bool) -> str:
    """Whose weights leave a term out, and the way out; `reported`: what runs report is known."""
    doer = draft.snap.key.doer
    if draft.doer.spec.crl.weights is not None:
        return (
            f"which spec.crl.weights of doer {doer} does not weigh: give it a weight, or leave the "
            "guardrail out"
        )
    if not reported:
        return (
            f"which status.crl.weights of doer {doer} does not weigh; for new ones: "
            f"{reports.still_needed(draft)}"
        )
    return (
        f"which runs of doer {doer} do not report: give it a weight in spec.crl.weights and report "
        "it, or leave the guardrail out"
    )


def _candidate_found(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """The candidates must exist, be readable and belong to the same doer."""
    return _first(find_policy(draft, name) for name in candidates_of(canary))


def _candidate_staged(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """Until the record has been read it is not known whether this content was Rejected before."""
    unknown = [name for name in candidates_of(canary) if draft.policies[name].stage is None]
    if not unknown:
        return None
    return Obstacle(reason="PolicyPending", message=f"policy {unknown[0]} is being looked up")


def _candidate_not_rejected(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """The evidence said worse: only a person may have it tried again."""
    stages = {name: draft.policies[name].stage for name in candidates_of(canary)}
    rejected = [name for name, stage in stages.items() if stage is Stage.REJECTED]
    if not rejected:
        return None
    message = (
        f"{rejected[0]} was Rejected: set spec.action to Retry with a new id, or make a new policy"
    )
    return Obstacle(reason="PolicyRejected", message=message, blocked=True)


def _lineage_sound(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """Where a policy comes from must be known before it is served."""
    for name in candidates_of(canary):
        found = content.lineage(name, draft.snap.policies)
        if found.reason:
            message = f"{name}: {found.message}"
            return Obstacle(reason=found.reason, message=message, blocked=True)
    return None


def _doer_serves(draft: Draft, _canary: CanaryDeployment) -> Obstacle | None:
    """Without an active policy there is no control."""
    if draft.active not in draft.snap.policies:
        return Obstacle(reason="NoControl", message="the doer's active policy is not there")
    if draft.doer.metadata.deletion_timestamp is not None:
        return Obstacle(reason="DoerDeleting", message="the doer is being deleted")
    return None


def _canaries_enabled(draft: Draft, _canary: CanaryDeployment) -> Obstacle | None:
    """Whoever runs the operator lets no candidate have traffic."""
    if draft.snap.canaries_enabled:
        return None
    return Obstacle(reason="FeatureDisabled", message=CANARIES_DISABLED)


def _not_paused(_draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """A paused canary does not go up, to its first step neither."""
    if canary.spec.run is not Run.PAUSED:
        return None
    return Obstacle(reason="Paused", message="spec.run is Paused: set it to Running to start")


def _gateway_ready(draft: Draft, canary: CanaryDeployment) -> Obstacle | None:
    """No weight goes to a slot that does not serve the candidate."""
    traffic = draft.status.traffic
    if traffic is None:
        return None
    found = slots.trouble(draft.snap, traffic, candidates_of(canary)[0])
    return Obstacle(reason=found[0], message=found[1]) if found else None


def _weights_known(draft: Draft, _canary: CanaryDeployment) -> Obstacle | None:
    """Both arms are scored by one yardstick, so there must be one before the first of them runs.

    What another operator decided, or for another policy, is decided anew before it is gone by.
    """
    if draft.scoring.weights is not None and not reports.to_be_read(draft):
        return None
    return Obstacle(reason="WeightsUnknown", message=f"weights: {reports.still_needed(draft)}")


def _attempts_known(draft: Draft, _canary: CanaryDeployment) -> Obstacle | None:
    """Each further attempt must show more, so their number must be known."""
    attempts = draft.snap.attempts
    if isinstance(attempts, dict):
        return None
    if isinstance(attempts, Unavailable):
        message = f"number of earlier attempts: {attempts.message}"
        return Obstacle(reason="RunLogUnavailable", message=message)
    return Obstacle(reason="Starting", message="the number of earlier attempts")


_Check = Callable[[Draft, CanaryDeployment], Obstacle | None]
_OWN: tuple[_Check, ...] = (
    _gateway_has_two_slots,
    _gateway_needs_counters,
    _guardrails_weighed,
    _candidate_found,
    _candidate_staged,
    _candidate_not_rejected,
    _lineage_sound,
)
_AROUND: tuple[_Check, ...] = (
    _doer_serves,
    _canaries_enabled,
    _not_paused,
    _gateway_ready,
    _weights_known,
    _attempts_known,
)
