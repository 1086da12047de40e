"""From raw objects to models; one that this version cannot read is data, not an exception."""

from typing import Any, TypeVar

from pydantic import ValidationError

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.app.refusal import RefusalReason
from learnops.domain.observed import InvalidObject

M = TypeVar("M", Doer, Policy, CanaryDeployment)
_MESSAGE_CHARACTERS = 512


def parse(model: type[M], raw: dict[str, Any]) -> M | InvalidObject:
    """The object as a model, or what is wrong with it, by the names of the fields."""
    try:
        return model.model_validate(
            {
                "apiVersion": raw["apiVersion"],
                "kind": raw["kind"],
                "metadata": raw["metadata"],
                "spec": raw["spec"],
                "status": raw.get("status") or {},
            }
        )
    except ValidationError as error:
        metadata, message = raw["metadata"], _message(error)
        return InvalidObject(
            kind=raw["kind"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            resource_version=metadata["resourceVersion"],
            message=message,
            reported=_is_reported(raw, message),
        )


def _is_reported(raw: dict[str, Any], message: str) -> bool:
    generation = raw["metadata"].get("generation", 1)
    wanted = {
        "type": "Stalled",
        "status": "True",
        "reason": RefusalReason.INVALID_SPEC.value,
        "message": message,
        "observedGeneration": generation,
    }
    conditions = (raw.get("status") or {}).get("conditions", [])
    return any(wanted.items() <= one.items() for one in conditions)


def _message(error: ValidationError) -> str:
    # Without the input: a spec may hold what does not belong into a status or a log.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
    return "; ".join(parts)[:_MESSAGE_CHARACTERS]
