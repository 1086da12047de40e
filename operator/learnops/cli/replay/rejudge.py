"""A canary's verdict by the losses that it had, and by those that it would have had."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Source
from learnops.cli.evaluation import judging, manifest
from learnops.cli.evaluation.logs import Log
from learnops.cli.inputs import InputError, documents, first_of
from learnops.domain.evidence.verdict import Judgement

_MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """One candidate of one rollout.

    Attributes:
        recorded: the stage that its canary came to; empty: it has not ended, or no log tells.
        own: judged by the analysis of its own canary; otherwise by the defaults.
        first: the number of the first run that was judged.
        why_not: why it could not be judged; empty: it was.
    """

    canary: str
    candidate: str
    recorded: str = ""
    own: bool = False
    first: int = 1
    before: Judgement | None = None
    after: Judgement | None = None
    why_not: str = ""

    @property
    def changed(self) -> bool | None:
        """Whether it is another verdict; None where it was not judged."""
        if self.before is None or self.after is None:
            return None
        return self.before.verdict is not self.after.verdict


class Analyses:
    """How canaries are judged: by their own analysis where it was given, else by the defaults."""

    def __init__(self, given: Iterable[CanaryDeployment] = ()) -> None:
        self._given = {it.metadata.name: it for it in given}

    @classmethod
    def of(cls, path: Path | None) -> "Analyses":
        """From a file of CanaryDeployments: one, several documents, or a List of kubectl.

        Raises:
            InputError: it cannot be read, or one of them is no CanaryDeployment.
        """
        return cls() if path is None else cls(_canary(path, it) for it in _objects(path))

    def knows(self, canary: str) -> bool:
        """Whether its own analysis was given."""
        return canary in self._given

    def of_canary(self, canary: str, candidates: Iterable[str]) -> CanaryDeployment:
        """What it is judged by."""
        found = self._given.get(canary)
        refs = [{"name": name} for name in candidates]
        return manifest.of_spec({"candidateRefs": refs}) if found is None else found

    @property
    def only(self) -> CanaryDeployment | None:
        """The one that was given, where it is one: of a log that names no canary."""
        return next(iter(self._given.values())) if len(self._given) == 1 else None


def refusal(canary: CanaryDeployment) -> str:
    """Why a log of runs cannot tell its verdict; empty: it can."""
    if canary.spec.analysis.source is Source.RUN_LOG:
        return ""
    return "it is judged from Prometheus, which does not tell what other weights would have given"


def judged(canary: CanaryDeployment, *, attempt: int, before: Log, after: Log) -> dict[str, Any]:
    """The fields of Rejudged that the two logs give, by the engine that the operator runs.

    Raises:
        EvaluationError: the plan cannot judge the log.
    """
    judge = judging.judge_of(canary, attempt=attempt)
    return {"before": judge(before).judgement, "after": judge(after).judgement}


def _objects(path: Path) -> list[dict[str, Any]]:
    found = documents(path, max_bytes=_MAX_BYTES)
    lists = [it["items"] if isinstance(it, dict) and "items" in it else [it] for it in found]
    if not all(isinstance(one, list) for one in lists):
        raise InputError(f"{path}: items: must be a list of CanaryDeployments")
    return [it for one in lists for it in one]


def _canary(path: Path, found: Any) -> CanaryDeployment:
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind != "CanaryDeployment":
        raise InputError(f"{path}: kind: {kind!r:.80} is not CanaryDeployment")
    metadata = found.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    if not isinstance(name, str) or not isinstance(found.get("spec"), dict):
        raise InputError(f"{path}: {name!r:.80}: must have metadata.name and spec")
    try:
        return manifest.of_spec(found["spec"], name=name)
    except ValidationError as error:
        raise InputError(f"{path}: {name}: {first_of(error)}") from error
