"""pydantic model → structural OpenAPI schema, as the API server wants it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias, get_args, get_origin

from learnops.api.common import ListType, Model, Rule, StatusModel
from learnops.api.crdgen.constraints import Constraints, InexpressibleError, unwrap
from learnops.api.crdgen.docstrings import docstrings

Schema: TypeAlias = dict[str, Any]

_ENUM_VALUE = re.compile(r"[A-Z][A-Za-z0-9]*")


def object_schema(model: type[Model]) -> Schema:
    """Schema of a model, without a description: that is the affair of who refers to it."""
    properties: Schema = {}
    required: list[str] = []
    told = docstrings(model)
    for name, field in model.model_fields.items():
        wire = field.alias or name
        properties[wire] = field_schema(model, name, told=told)
        if field.is_required():
            required.append(wire)
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return with_rules(model.__name__, schema, model.cel_rules)


def field_schema(model: type[Model], name: str, *, told: Mapping[str, str]) -> Schema:
    """Schema of one field with description and default; `told` are the model's `docstrings`."""
    where, field = f"{model.__name__}.{name}", model.model_fields[name]
    if not told.get(name):
        raise InexpressibleError(where, "no description; write a docstring under the field")
    unwrapped = unwrap(where, field.annotation, field.metadata)
    if unwrapped.optional and (field.is_required() or field.default is not None):
        raise InexpressibleError(where, "Optional means absent: its default must be None")
    in_status = issubclass(model, StatusModel)
    schema: Schema = {"description": " ".join(told[name].split())}
    schema |= type_schema(where, unwrapped.bare, unwrapped.constraints, in_status=in_status)
    # A default in status would be the server's word, not the operator's.
    if unwrapped.constraints.schema_default and not in_status and not field.is_required():
        _add_default(where, schema, field.default)
    return schema


def type_schema(where: str, bare: Any, constraints: Constraints, *, in_status: bool) -> Schema:
    """Schema of a bare type under its constraints."""
    if isinstance(bare, type) and issubclass(bare, Model):
        schema = object_schema(bare)
    elif isinstance(bare, type) and issubclass(bare, StrEnum):
        schema = _enum(where, bare)
    elif bare is datetime:
        schema = {"type": "string", "format": "date-time"}
    elif bare is str:
        schema = _string(where, constraints)
    elif bare is int:
        schema = _integer(where, constraints, in_status=in_status)
    elif get_origin(bare) in (tuple, list):
        schema = _array(where, bare, constraints, in_status=in_status)
    elif get_origin(bare) is dict:
        schema = _map(where, bare, constraints, in_status=in_status)
    else:
        raise InexpressibleError(where, _refusal(bare))
    return with_rules(where, schema, constraints.rules)


def _refusal(bare: Any) -> str:
    if bare is float:
        return "a float; clients would read different numbers: use Decimal or Fraction (text)"
    if bare is bool:
        return "a boolean; use an enum of CamelCase words, it can grow"
    return f"the type {bare!r} has no counterpart in a structural schema"


def _enum(where: str, bare: type[StrEnum]) -> Schema:
    values = [member.value for member in bare]
    for value in values:
        if not _ENUM_VALUE.fullmatch(value):
            raise InexpressibleError(where, f"the enum value {value!r} is not CamelCase")
    return {"type": "string", "enum": values}


def _string(where: str, constraints: Constraints) -> Schema:
    if constraints.max_length is None:
        raise InexpressibleError(where, "a string without bound; set max_length")
    bounds = {
        "minLength": constraints.min_length,
        "maxLength": constraints.max_length,
        "pattern": constraints.pattern,
    }
    return {"type": "string"} | _given(bounds)


def _integer(where: str, constraints: Constraints, *, in_status: bool) -> Schema:
    if constraints.minimum is None or (constraints.maximum is None and not in_status):
        raise InexpressibleError(where, "an integer without bounds; set ge and le")
    if not constraints.strict:
        raise InexpressibleError(where, "an integer that would also take text; use Integer")
    bounds = {"minimum": constraints.minimum, "maximum": constraints.maximum}
    return {"type": "integer", "format": "int64"} | _given(bounds)


def _array(where: str, bare: Any, constraints: Constraints, *, in_status: bool) -> Schema:
    args = get_args(bare)
    if get_origin(bare) is tuple and (len(args) != 2 or args[1] is not Ellipsis):
        raise InexpressibleError(where, "a tuple of fixed shape; use tuple[X, ...]")
    if constraints.max_length is None:
        raise InexpressibleError(where, "a list without bound; set max_length")
    if constraints.list_type is None:
        raise InexpressibleError(where, "a list without a list type; add ATOMIC, SET or ListType")
    items = _nested(f"{where}[]", args[0], in_status=in_status)
    bounds = {"minItems": constraints.min_length, "maxItems": constraints.max_length}
    return {
        "type": "array",
        **_given(bounds),
        "items": items,
        **_list_type(where, constraints.list_type, items),
    }


def _list_type(where: str, list_type: ListType, items: Schema) -> Schema:
    if list_type.kind != "map":
        return {"x-kubernetes-list-type": list_type.kind}
    required = items.get("required", ())
    for key in list_type.keys:
        if key not in required and "default" not in items["properties"][key]:
            raise InexpressibleError(
                where, f"the list key {key!r} is neither a required field nor has a default"
            )
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(list_type.keys)}


def _map(where: str, bare: Any, constraints: Constraints, *, in_status: bool) -> Schema:
    key, value = get_args(bare)
    if unwrap(where, key).bare is not str:
        raise InexpressibleError(where, "a map whose keys are not strings")
    if constraints.max_length is None:
        raise InexpressibleError(where, "a map without bound; set max_length")
    bounds = {"minProperties": constraints.min_length, "maxProperties": constraints.max_length}
    values = _nested(f"{where}{{}}", value, in_status=in_status)
    return {"type": "object", **_given(bounds), "additionalProperties": values}


def _nested(where: str, annotation: Any, *, in_status: bool) -> Schema:
    unwrapped = unwrap(where, annotation)
    if unwrapped.optional:
        raise InexpressibleError(where, "an item that may be None")
    return type_schema(where, unwrapped.bare, unwrapped.constraints, in_status=in_status)


def _add_default(where: str, schema: Schema, default: Any) -> None:
    """Defaults that `kubectl get -o yaml` should show.

    An absent value and an empty list have none. An object gets its fields' defaults, which must be
    what its own model says. `{}` would come to the same, but the API server tries a CRD's rules on
    the default as it stands there.
    """
    if isinstance(default, Model):
        if default != type(default)():
            raise InexpressibleError(where, "a default other than the model's own defaults")
        properties = schema["properties"]
        fields = {name: p["default"] for name, p in properties.items() if "default" in p}
        if fields:
            schema["default"] = fields
    elif isinstance(default, tuple | list):
        if default:
            schema["default"] = list(default)
    elif default is not None:
        schema["default"] = default.value if isinstance(default, StrEnum) else default


def _given(bounds: dict[str, Any]) -> Schema:
    return {key: value for key, value in bounds.items() if value is not None}


def with_rules(where: str, schema: Schema, rules: Sequence[Rule]) -> Schema:
    """The schema with these CEL rules beside its own; each message must begin with "must"."""
    validations = schema.get("x-kubernetes-validations", [])
    validations = validations + [_validation(where, rule) for rule in rules]
    return schema | ({"x-kubernetes-validations": validations} if validations else {})


def _validation(where: str, rule: Rule) -> Schema:
    if not rule.message.startswith("must "):
        raise InexpressibleError(where, f'the message {rule.message!r} does not begin with "must"')
    return {"rule": rule.rule, "message": rule.message} | _given({"fieldPath": rule.field_path})
