"""What an extra of pyproject.toml installs, and a process that has no more than that."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "operator"
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

_PROCESS = """
import sys
from importlib import import_module

refused = set(sys.argv[1].split(","))

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *about):
        if name.partition(".")[0] in refused:
            return None
        return self.finder.find_spec(name, *about)

sys.meta_path[:] = [Without(it) for it in sys.meta_path]
"""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def refused_by(extra: str) -> frozenset[str]:
    """Third-party modules that are not there when the package was installed with this extra."""
    waiting = [*_PROJECT["dependencies"]]
    waiting += _PROJECT["optional-dependencies"][extra] if extra else []
    there: set[tuple[str, str]] = set()
    while waiting:
        wanted = Requirement(waiting.pop())
        for of in ("", *wanted.extras):
            if (_plain(wanted.name), of) in there:
                continue
            there.add((_plain(wanted.name), of))
            waiting += _needs(wanted.name, of)
    names = {name for name, _ in there} | {"learnops"}
    return frozenset(
        module
        for module, owners in packages_distributions().items()
        if not names & {_plain(it) for it in owners}
    )


def _needs(name: str, extra: str) -> Iterator[str]:
    try:
        found = requires(name) or []
    except PackageNotFoundError:  # of another platform
        return
    for text in found:
        marker = Requirement(text).marker
        if marker is None or marker.evaluate({"extra": extra}):
            yield text


def process(script: str, *, extra: str, arguments: tuple[str, ...] = ()):
    """Run a script where only this extra is installed."""
    refused = ",".join(sorted(refused_by(extra)))
    return subprocess.run(
        [sys.executable, "-c", _PROCESS + script, refused, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def imported_from(start: str) -> set[str]:
    """All modules that a module of ours imports, at once or later, and theirs in turn."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += imports(module)
    return found


@cache
def imports(module: str) -> tuple[str, ...]:
    """The modules that a module of ours imports; none for those of others."""
    file = _file(module)
    if file is None:
        return ()
    seen = _Imports()
    seen.visit(ast.parse(file.read_text()))
    return tuple(seen.names)


def _file(module: str) -> Path | None:
    path = SOURCES / module.replace(".", "/")
    return next((it for it in (path.with_suffix(".py"), path / "__init__.py") if it.exists()), None)


class _Imports(ast.NodeVisitor):
    """Imports that happen; not those for types alone, nor those that may fail."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def visit_Import(self, node: ast.Import) -> None:
        self.names += [it.name for it in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.module is not None
        inner = [f"{node.module}.{it.name}" for it in node.names]
        self.names += [node.module, *(it for it in inner if _file(it) is not None)]

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        caught = {it.type.id for it in node.handlers if isinstance(it.type, ast.Name)}
        tried = [] if "ImportError" in caught else node.body
        for part in (*tried, *node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)
