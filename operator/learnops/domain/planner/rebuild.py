"""A doer without traffic: its first policy, or what the record says it served before."""

from dataclasses import dataclass

from learnops.api.policy import Policy, Stage
from learnops.domain.observed import History, Promotion
from learnops.domain.planner import audit, content
from learnops.domain.planner.candidate import find_policy
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.traffic import first
from learnops.domain.unavailable import Unavailable

# A rollout of K candidates raises the revision at most 10 K + 1 times (a start, nine further steps
# of each, all but one dropped, an end; ten steps are the schema's bound) and puts K rows on record
# before the first of them; a revert once, with two rows. So one more than 16 per row is above every
# revision that an SDK can have seen from an object of this UID, without a clock, and a rebuild of
# the same record gives the same.
_REVISIONS_PER_ROW = 16


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the record says: the active policy's last row and the policy before it."""

    active: Promotion
    previous: str | None


def take_up(draft: Draft) -> bool:
    """Fires while the doer has no traffic; nothing else runs until it has."""
    if draft.status.traffic is not None:
        return False
    if draft.doer.metadata.deletion_timestamp is not None:
        return True
    history = draft.snap.history
    if history is None or isinstance(history, Unavailable):
        why = "not read yet" if history is None else history.message
        draft.stalled = ("NoHistory", f"what was served before is not known: {why}")
        draft.fire("no-history", why)
        return True
    served = last_served(history)
    if served is None:
        _first_policy(draft, history)
    else:
        _rebuild(draft, history, served)
    return True


def last_served(history: History) -> Served | None:
    """Walk the record: the last policy that became Active, and the one that it replaced."""
    active: Promotion | None = None
    previous: str | None = None
    for it in audit.sound_rows(history):
        if it.to_stage is not Stage.ACTIVE:
            continue
        if active is not None and active.policy != it.policy:
            previous = active.policy
        active = it
    return Served(active=active, previous=previous) if active else None


def last_stage(history: History, policy: Policy) -> Stage | None:
    """The stage that the record knows of this policy, or of its content under another name.

    Content counts for a rejection alone: what was shown worse does not come back renamed.
    """
    digest, identity = content.digest(policy.spec), content.identity(policy.spec)
    rows = audit.sound_rows(history)
    own = [it for it in rows if (it.policy, it.digest) == (policy.metadata.name, digest)]
    same = [it for it in rows if it.identity == identity]
    if same and same[-1].to_stage is Stage.REJECTED:
        return Stage.REJECTED
    return own[-1].to_stage if own else None


def same_as_on_record(history: History, policy: Policy) -> bool:
    """Whether a policy has the content that the record last knew under its name, if it did."""
    rows = [it for it in history.promotions if it.policy == policy.metadata.name]
    return not rows or rows[-1].digest == content.digest(policy.spec)


def _first_policy(draft: Draft, history: History) -> None:
    """Nothing was ever served: the policy that policyRef names is Active at once."""
    name = draft.doer.spec.policy_ref.name
    found = find_policy(draft, name)
    if found is not None:
        draft.stalled = (found.reason, found.message)
        return
    policy = draft.snap.policies[name]
    if last_stage(history, policy) is Stage.REJECTED:
        draft.stalled = ("PolicyRejected", f"{name} was Rejected: name another policy")
        return
    moved = audit.row(
        draft,
        id_=f"{draft.doer.metadata.uid}/first/{name}",
        policy=name,
        move=(draft.policies[name].stage, Stage.ACTIVE),
        why="the doer's first policy",
        rollout="",
    )
    audit.record_first(draft, (moved,))
    _serve(draft, active=name, revision=1, previous=None, handled=name)
    draft.fire("first-policy", f"{name} is active at once")
    draft.event(draft.doer, "FirstPolicyActive", f"{name} is the doer's first policy")


def _rebuild(draft: Draft, history: History, served: Served) -> None:
    """The status is empty and the record is not: serve what was served, and nothing unproved."""
    name = served.active.policy
    found = find_policy(draft, name)
    if found is not None:
        draft.stalled = (found.reason, f"last active by the record: {found.message}")
        return
    if content.digest(draft.snap.policies[name].spec) != served.active.digest:
        draft.stalled = (
            "PolicyChanged",
            f"{name} was active with other content: apply it as it was, under its digest "
            f"{served.active.digest}, or use a new doer name",
        )
        return
    revision = 1 + _REVISIONS_PER_ROW * len(history.promotions)
    handled = _handled(draft, history, name)
    _serve(draft, active=name, revision=revision, previous=served.previous, handled=handled)
    _keep_salt(draft, served.active.rollout)
    draft.fire("rebuild", f"{name} is active by the record")
    draft.event(draft.doer, "Rebuilt", f"{name} serves again, as policy_promotions has it")


def _handled(draft: Draft, history: History, active: str) -> str:
    """A rejected policyRef is not tried again; a new one is."""
    wanted = draft.doer.spec.policy_ref.name
    policy = draft.snap.policies.get(wanted)
    if policy is not None and last_stage(history, policy) is Stage.REJECTED:
        return wanted
    return active


def _serve(draft: Draft, *, active: str, revision: int, previous: str | None, handled: str) -> None:
    draft.set_doer(
        traffic=first(active=active, revision=revision),
        active_policy=active,
        previous_policy=previous,
        handled_policy_ref=handled,
        current_rollout=None,
    )


def _keep_salt(draft: Draft, salt: str) -> None:
    """A promotion that was recorded and cut short is known by its salt."""
    traffic = draft.status.traffic
    if traffic is not None and salt:
        draft.set_doer(traffic=traffic.model_copy(update={"salt": salt}))
