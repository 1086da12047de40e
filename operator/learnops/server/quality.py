"""The names and values of signals, in bundles and apart from them."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from learnops.domain.bundle_limits import MAX_SIGNALS


def _quality(value: Any) -> float:
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    raise ValueError("must be a number from 0 to 1, true or false")


SignalName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][A-Za-z0-9]{0,31}$",
        description="`compile`, `tests`, `errors` and `human` make the reward; others are kept.",
        examples=["tests"],
    ),
]
Quality = Annotated[
    float,
    BeforeValidator(_quality),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "boolean"}]}
    ),
]
Qualities = Annotated[dict[SignalName, Quality], Field(max_length=MAX_SIGNALS)]
