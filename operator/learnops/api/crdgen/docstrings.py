"""The docstrings under a model's fields, which are the descriptions of a CRD.

They are read here, where they are wanted. pydantic can (`use_attribute_docstrings`), but reads the
source of all models each time that a process starts: a tenth of the time until the api serves.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from learnops.api.common import Model


def docstrings(model: type[Model]) -> dict[str, str]:
    """By field, those of the fields that have one; a subclass may tell anew what is inherited."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Model):
            found |= _of_module(base.__module__)[base.__qualname__]
    return found


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """The docstrings of each class of a module, by its qualified name."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {named: dict(_told(found)) for named, found in _classes(tree, within="")}


def _classes(node: ast.AST, *, within: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name):
                yield within + name, child
                yield from _classes(child, within=f"{within}{name}.")
            case ast.FunctionDef(name=name):
                yield from _classes(child, within=f"{within}{name}.<locals>.")


def _told(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(definition.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, text
