"""The canary of an evaluation: a CanaryDeployment of which only `spec.analysis` is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Method, Source
from learnops.cli.evaluation.errors import EvaluationError
from learnops.cli.inputs import document, first_of
from learnops.domain.assignment import Arm
from learnops.domain.evidence.types import MAX_CANDIDATES

_KIND = "CanaryDeployment"
_METADATA = {
    "name": "evaluated",
    "namespace": "default",
    "uid": "none",
    "resourceVersion": "0",
    "generation": 1,
    "creationTimestamp": "1970-01-01T00:00:00Z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A canary and the names of all its candidates; `canary` itself holds the first alone."""

    canary: CanaryDeployment
    candidates: tuple[str, ...]


def load(path: Path) -> Manifest:
    """Read and check it.

    Raises:
        InputError: it cannot be read, is no CanaryDeployment, or asks what a log of runs does
            not tell.
    """
    spec = document(path, kind=_KIND).get("spec")
    if not isinstance(spec, dict):
        raise EvaluationError(f"{path}: spec: must be there, with analysis in it")
    # The candidates are read here: the schema need not take several for a log to have them.
    refs = spec.get("candidateRefs")
    several = refs if isinstance(refs, list) and len(refs) > 1 else None
    try:
        canary = _canary(spec | {"candidateRefs": several[:1]} if several else spec)
        candidates = _names(several or canary.to_wire()["spec"]["candidateRefs"])
    except ValidationError as error:
        raise EvaluationError(f"{path}: {first_of(error)}") from error
    except EvaluationError as error:
        raise EvaluationError(f"{path}: {error}") from error
    analysis = canary.spec.analysis
    if analysis.source is not Source.RUN_LOG:
        text = "must be RunLog: a log of runs is what is evaluated, and Counters read Prometheus"
        raise EvaluationError(f"{path}: spec.analysis.source: {text}")
    if several and analysis.method is Method.FIXED_HORIZON:
        text = "must be Anytime with several candidates: one look compares one"
        raise EvaluationError(f"{path}: spec.analysis.method: {text}")
    return Manifest(canary=canary, candidates=candidates)


def _names(refs: Sequence[Any]) -> tuple[str, ...]:
    """The candidates, each checked as the model checks a single one."""
    if len(refs) > MAX_CANDIDATES:
        raise EvaluationError(f"spec.candidateRefs: must be at most {MAX_CANDIDATES} candidates")
    names = [_canary({"candidateRefs": [ref]}).spec.candidate_refs[0].name for ref in refs]
    if len(set(names)) < len(names):
        raise EvaluationError("spec.candidateRefs: must name each candidate once")
    if len(names) > 1 and Arm.CONTROL.value in names:
        raise EvaluationError(
            "spec.candidateRefs: must not name a candidate control: that is an arm"
        )
    return tuple(names)


def defaults() -> CanaryDeployment:
    """A canary that says nothing of its own."""
    return _canary({})


def with_steps(canary: CanaryDeployment, steps: Sequence[int]) -> CanaryDeployment:
    """The same with other shares. Raises EvaluationError where they are no steps."""
    spec = canary.to_wire()["spec"]
    spec["strategy"]["canary"]["steps"] = list(steps)
    try:
        return _canary(spec)
    except ValidationError as error:
        raise EvaluationError(f"--steps: {first_of(error)}") from error


def _canary(spec: Mapping[str, Any]) -> CanaryDeployment:
    given = {"doerRef": {"name": "any"}, "candidateRefs": [{"name": Arm.CANDIDATE.value}], **spec}
    # The metadata are as the API server would have filled them in.
    manifest = {"kind": _KIND, "metadata": _METADATA, "spec": given}
    return CanaryDeployment.model_validate(manifest)
