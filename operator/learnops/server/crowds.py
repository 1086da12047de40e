"""What has thousands of errors is told of in one: a list of them all takes a second to make."""

from typing import Any, Final, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

_MOST_ERRORS: Final = 500


class FewErrors(BaseModel):
    """What is sent as a body, or as an item of a batch. Looked at only where it is wrong."""

    @model_validator(mode="wrap")
    @classmethod
    def _few(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            if error.error_count() <= _MOST_ERRORS:
                raise
            told = _in_one(given, errors=error.error_count())
            raise ValidationError.from_exception_data(cls.__name__, [told]) from None


def _in_one(given: Any, *, errors: int) -> InitErrorDetails:
    """Names the field with the most in it, unless there are more fields."""
    largest, field = given, None
    for name, value in given.items():
        if isinstance(value, dict | list) and len(value) > len(largest):
            largest, field = value, name
    message = "has {entries} entries; {errors} errors in all are too many to tell each"
    kind = PydanticCustomError("crowd", message, {"entries": len(largest), "errors": errors})
    return InitErrorDetails(type=kind, loc=() if field is None else (field,), input=given)
