"""The canary of an evaluation: a CanaryDeployment of which only `spec.analysis` is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Source
from learnops.cli.evaluation.errors import EvaluationError
from learnops.domain.assignment import Arm

_MAX_BYTES = 1_000_000
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
        EvaluationError: it cannot be read, is no CanaryDeployment, or asks what a log of runs does
            not tell.
    """
    document = _document(path)
    if document.get("kind", _KIND) != _KIND:
        raise EvaluationError(f"{path}: kind: {document['kind']!r:.80} is not {_KIND}")
    spec = document.get("spec")
    if not isinstance(spec, dict):
        raise EvaluationError(f"{path}: spec: must be there, with analysis in it")
    given = {"doerRef": {"name": "any"}, "candidateRefs": [{"name": Arm.CANDIDATE.value}]} | spec
    manifest = {
        "apiVersion": document.get("apiVersion", "learnops.dev/v1alpha1"),
        "kind": _KIND,
        "metadata": _METADATA,  # as the API server would have filled it in
        "spec": given,
    }
    try:
        canary = CanaryDeployment.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(it) for it in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise EvaluationError(f"{path}: {place}: {message}") from error
    if canary.spec.analysis.source is not Source.RUN_LOG:
        text = "must be RunLog: a log of runs is what is evaluated, and Counters read Prometheus"
        raise EvaluationError(f"{path}: spec.analysis.source: {text}")
    return canary


def arms_of(canary: CanaryDeployment, *, control: str | None) -> Mapping[str, Arm]:
    """What a run's arm may be called."""
    arms = {Arm.CANDIDATE.value: Arm.CANDIDATE, Arm.CONTROL.value: Arm.CONTROL}
    arms[canary.spec.candidate_refs[0].name] = Arm.CANDIDATE
    if control is not None:
        arms[control] = Arm.CONTROL
    return arms


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror})") from error
    if len(text) > _MAX_BYTES:
        raise EvaluationError(f"{path}: has over {_MAX_BYTES:,} bytes")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path}: is not YAML") from error
    if not isinstance(document, dict):
        raise EvaluationError(f"{path}: must be one CanaryDeployment")
    return document
