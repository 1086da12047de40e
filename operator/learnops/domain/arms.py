"""How several candidates share traffic with control (docs/adr/0009-several-candidates.md).

Each of K candidates has a region of its own on the hash line, 100/(K + 1) percent wide and rounded
down: it grows there from its left end and never into another's. So control keeps at least as much
as any candidate, whoever had a candidate keeps it while shares rise, and a candidate that is
dropped leaves its runs to control and to nobody else. One candidate is the case K = 1: it grows
from 0 to 50.
"""

from learnops.api.canary import CanaryDeployment
from learnops.api.served import Share, TrafficStatus


def candidates_of(canary: CanaryDeployment) -> tuple[str, ...]:
    """The candidates' names, in the order of the spec."""
    return tuple(ref.name for ref in canary.spec.candidate_refs)


def most_percent(candidates: int) -> int:
    """The share in percent that each of so many candidates can come to: that of control, or less.

    >>> [most_percent(number) for number in (1, 2, 3, 4, 5)]
    [50, 33, 25, 20, 16]
    """
    return 100 // (candidates + 1)


def steps_of(canary: CanaryDeployment) -> tuple[int, ...]:
    """The shares that each candidate goes through, in percent: spec's steps, none above the most.

    Steps that the bound makes equal are one step.
    """
    most = most_percent(len(canary.spec.candidate_refs))
    steps = canary.spec.strategy.canary.steps
    return tuple(dict.fromkeys(min(step, most) for step in steps))


def start_of(canary: CanaryDeployment, candidate: str) -> int | None:
    """Where the candidate's region begins, in percent of the hash line; None for 0."""
    names = candidates_of(canary)
    return most_percent(len(names)) * names.index(candidate) or None


def candidate_shares(traffic: TrafficStatus | None) -> tuple[Share, ...]:
    """The shares of all that are not control, in the order of their regions."""
    if traffic is None:
        return ()
    shares = (share for share in traffic.shares if share.policy != traffic.active)
    return tuple(sorted(shares, key=lambda share: share.start or 0))


def served(traffic: TrafficStatus | None, candidate: str) -> int:
    """The candidate's share in percent; 0 where it has none."""
    return sum(it.percent for it in candidate_shares(traffic) if it.policy == candidate)


def on_trial(traffic: TrafficStatus | None) -> tuple[str, ...]:
    """Who has a share or runs in shadow, in the order of their regions."""
    shadow = () if traffic is None or traffic.shadow is None else (traffic.shadow,)
    return shadow or tuple(share.policy for share in candidate_shares(traffic))
