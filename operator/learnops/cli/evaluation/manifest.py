"""The canary of an evaluation: a CanaryDeployment of which only `spec.analysis` is needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Source
from learnops.cli.evaluation.errors import EvaluationError
from learnops.cli.inputs import document, first_of
from learnops.domain.arms import candidates_of
from learnops.domain.assignment import Arm

_KIND = "CanaryDeployment"
_METADATA = {
    "name": "evaluated",
    "namespace": "default",
    "uid": "none",
    "resourceVersion": "0",
    "generation": 1,
    "creationTimestamp": "1970-01-01T00:00:00Z",
}


def load(path: Path) -> CanaryDeployment:
    """Read and check it.

    Raises:
        InputError: it cannot be read, is no CanaryDeployment, or asks what a log of runs does
            not tell.
    """
    spec = document(path, kind=_KIND).get("spec")
    if not isinstance(spec, dict):
        raise EvaluationError(f"{path}: spec: must be there, with analysis in it")
    try:
        canary = of_spec(spec)
    except ValidationError as error:
        raise EvaluationError(f"{path}: {first_of(error)}") from error
    if canary.spec.analysis.source is not Source.RUN_LOG:
        text = "must be RunLog: a log of runs is what is evaluated, and Counters read Prometheus"
        raise EvaluationError(f"{path}: spec.analysis.source: {text}")
    names = candidates_of(canary)
    if len(names) > 1 and Arm.CONTROL.value in names:
        text = "must not name a candidate control: that is an arm"
        raise EvaluationError(f"{path}: spec.candidateRefs: {text}")
    return canary


def defaults() -> CanaryDeployment:
    """A canary that says nothing of its own."""
    return of_spec({})


def with_steps(canary: CanaryDeployment, steps: Sequence[int]) -> CanaryDeployment:
    """The same with other shares. Raises EvaluationError where they are no steps."""
    spec = canary.to_wire()["spec"]
    spec["strategy"]["canary"]["steps"] = list(steps)
    try:
        return of_spec(spec)
    except ValidationError as error:
        raise EvaluationError(f"--steps: {first_of(error)}") from error


def of_spec(spec: Mapping[str, Any], *, name: str = "evaluated") -> CanaryDeployment:
    """A canary of this spec, as the API server would have filled it in.

    Raises:
        ValidationError: the spec is refused.
    """
    given = {"doerRef": {"name": "any"}, "candidateRefs": [{"name": Arm.CANDIDATE.value}], **spec}
    manifest = {"kind": _KIND, "metadata": {**_METADATA, "name": name}, "spec": given}
    return CanaryDeployment.model_validate(manifest)
