"""Bounds, patterns and markers of a field, gathered from pydantic's metadata."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Strict
from pydantic.fields import FieldInfo

from learnops.api.common import ListType, NoSchemaDefault, Rule


class InexpressibleError(TypeError):
    """A model says what the schema cannot, or what our conventions forbid; names model.field."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")


@dataclass(kw_only=True)
class Constraints:
    """What stands in `Annotated` and `Field` beside the bare type."""

    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    list_type: ListType | None = None
    strict: bool = False
    schema_default: bool = True
    rules: list[Rule] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Unwrapped:
    """A bare type with its constraints; `optional` when None was one of its alternatives."""

    bare: Any
    constraints: Constraints
    optional: bool


def unwrap(where: str, annotation: Any, metadata: Iterable[Any] = ()) -> Unwrapped:
    """Peel `Annotated` and `Optional` off; raises InexpressibleError for other unions."""
    found = list(metadata)
    optional = False
    while get_origin(annotation) in (Annotated, Union, UnionType):
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            found += more
        else:
            annotation, optional = _only_alternative(where, annotation), True
    constraints = Constraints()
    for item in _flat(found):
        _take(where, constraints, item)
    return Unwrapped(bare=annotation, constraints=constraints, optional=optional)


def _only_alternative(where: str, union: Any) -> Any:
    alternatives = [arg for arg in get_args(union) if arg is not NoneType]
    if len(alternatives) != 1:
        raise InexpressibleError(where, "a union other than Optional; use one type")
    return alternatives[0]


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _flat(item.metadata)
        else:
            yield item


def _take(where: str, into: Constraints, item: Any) -> None:
    match item:
        case Ge(ge=int(bound)):
            into.minimum = bound
        case Le(le=int(bound)):
            into.maximum = bound
        case MinLen(min_length=length):
            into.min_length = length
        case MaxLen(max_length=length):
            into.max_length = length
        case Strict(strict=strict):
            into.strict = strict
        case ListType():
            into.list_type = item
        case NoSchemaDefault():
            into.schema_default = False
        case Rule():
            into.rules.append(item)
        case _:
            into.pattern = _pattern(where, item)


def _pattern(where: str, item: Any) -> str:
    """pydantic keeps a pattern in an object of a private class: known by its only attribute."""
    attributes = getattr(item, "__dict__", {})
    pattern = attributes.get("pattern")
    if set(attributes) != {"pattern"} or not isinstance(pattern, str):
        raise InexpressibleError(where, f"the constraint {item!r} has no counterpart in a schema")
    return pattern
