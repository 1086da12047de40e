"""What a log may call its arms, and where it tells their probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learnops.domain.assignment import Arm

CONTROL = 0
PROPENSITY = "propensity"
SHARE = "propensity."
"""Prefix of an arm's column in CSV where there are several candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Control and the candidates.

    Attributes:
        candidates: their names, in the order of the canary.
        numbers: what a run's arm may be called: 0 is control, k the k-th candidate.
        shares: the columns of probabilities: of the candidate, or with several candidates of
            control and then of each candidate.
    """

    candidates: tuple[str, ...]
    numbers: Mapping[str, int]
    shares: tuple[str, ...]

    @property
    def several(self) -> bool:
        """Whether it is an A/B/n log, whose probabilities are told by name."""
        return len(self.candidates) > 1


def arms_of(candidates: Sequence[str], *, control: str | None) -> Arms:
    """The arms of a canary; ``control`` is the name of the control policy, if it is known."""
    numbers = {Arm.CONTROL.value: CONTROL} | {name: k for k, name in enumerate(candidates, start=1)}
    if control is not None:
        numbers[control] = CONTROL
    if len(candidates) == 1:
        numbers[Arm.CANDIDATE.value] = 1
        shares = [PROPENSITY]
    else:
        shares = [SHARE + name for name in (control or Arm.CONTROL.value, *candidates)]
    return Arms(candidates=tuple(candidates), numbers=numbers, shares=tuple(shares))
