"""A resource's model → the whole CustomResourceDefinition."""

import inspect
import re
from typing import Any

from learnops.api.common import CATEGORY, GROUP, VERSION, Model, ObjectMeta, PrinterColumn
from learnops.api.crdgen.constraints import InexpressibleError, unwrap
from learnops.api.crdgen.docstrings import docstrings
from learnops.api.crdgen.schema import Schema, field_schema, type_schema, with_rules

MOST_COLUMNS = 6
_SEGMENT = re.compile(r"\.([A-Za-z0-9]+)((?:\[[^]]*\])?)")


def custom_resource_definition(model: Any) -> dict[str, Any]:
    """The CRD of a top-level model, with plural, short_names and columns beside its fields.

    Raises InexpressibleError.
    """
    schema = root_schema(model)
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{model.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": model.plural,
                "singular": kind.lower(),
                "shortNames": list(model.short_names),
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(model, schema),
                }
            ],
        },
    }


def root_schema(model: type[Model]) -> Schema:
    """Schema of the object itself: of metadata only the name may be restricted."""
    name = unwrap(f"{model.__name__}.metadata", *_annotation(ObjectMeta, "name"))
    described = inspect.getdoc(model)
    if not described:
        raise InexpressibleError(model.__name__, "no description; write a class docstring")
    told = docstrings(model)
    schema: Schema = {
        "type": "object",
        "description": " ".join(described.split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {
                    "name": type_schema("name", name.bare, name.constraints, in_status=False)
                },
            },
            "spec": field_schema(model, "spec", told=told),
            "status": field_schema(model, "status", told=told),
        },
    }
    return with_rules(model.__name__, schema, model.cel_rules)


def _annotation(model: Any, name: str) -> tuple[Any, list[Any]]:
    field = model.model_fields[name]
    return field.annotation, field.metadata


def _columns(model: Any, schema: Schema) -> list[dict[str, Any]]:
    if len(model.columns) > MOST_COLUMNS:
        raise InexpressibleError(model.__name__, f"more than {MOST_COLUMNS} printer columns")
    return [_column(model.__name__, column, schema) for column in model.columns]


def _column(where: str, column: PrinterColumn, schema: Schema) -> dict[str, Any]:
    if not column.json_path.startswith(".metadata."):
        _must_exist(f"{where} column {column.name!r}", column.json_path, schema)
    printed = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return printed | ({"priority": column.priority} if column.priority else {})


def _must_exist(where: str, json_path: str, schema: Schema) -> None:
    """A path that names no field would print an empty column for ever."""
    for name, index in _SEGMENT.findall(re.sub(r"\[\?[^]]*\]", "[]", json_path)):
        properties = schema.get("properties", {})
        if name not in properties:
            raise InexpressibleError(where, f"no field {name!r} on the path {json_path}")
        schema = properties[name]["items"] if index else properties[name]
