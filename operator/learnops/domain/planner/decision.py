"""What a look at the live canary can come to. Exactly one of these."""

from dataclasses import dataclass
from typing import TypeAlias

from learnops.api.canary import CanaryStage, Verdict


@dataclass(frozen=True, kw_only=True)
class End:
    """Give control all traffic. `reject`: the evidence says worse, the candidate is Rejected; while
    there are others, it alone is dropped. `candidate`: whom the verdict is about. `culprit`: what
    told most against it, "loss" or the guardrail's term or name; empty where nothing did."""

    stage: CanaryStage
    reason: str
    message: str
    reject: bool = False
    verdict: Verdict | None = None
    candidate: str = ""
    culprit: str = ""


@dataclass(frozen=True, kw_only=True)
class Promote:
    """Give the candidate all traffic."""

    candidate: str
    message: str


@dataclass(frozen=True, kw_only=True)
class StepUp:
    """Go to the next share; `index` counts the steps from 0."""

    index: int
    percent: int
    message: str


@dataclass(frozen=True, kw_only=True)
class PassShadow:
    """Leave the shadow stage: the candidate gets its first share."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Stay:
    """Keep the shares. `hold`: something stands in the way, named by `reason`."""

    verdict: Verdict
    reason: str
    waiting_for: str
    hold: bool = False
    needs_person: bool = False


Decision: TypeAlias = End | Promote | StepUp | PassShadow | Stay
