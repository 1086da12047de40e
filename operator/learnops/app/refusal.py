"""What a person must mend before the operator can go on."""

from dataclasses import dataclass
from enum import StrEnum


class RefusalReason(StrEnum):
    """Who must act: it is the reason of the condition that tells of it."""

    INVALID_SPEC = "InvalidSpec"  # whoever writes the object
    FORBIDDEN = "Forbidden"  # whoever grants rights


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A write that the API server refused; it stands in the doer's status until one succeeds."""

    reason: RefusalReason
    message: str
