"""The SQL of the Postgres adapters, as their source has it: a list that nobody has to keep."""

import ast
import re
from importlib import import_module
from pathlib import Path

from learnops.adapters import postgres

FOLDER = Path(str(postgres.__file__)).parent
_SQL = re.compile(r"\s*(WITH|SELECT|INSERT INTO|UPDATE|DELETE FROM)\s")
_FILLED_IN = re.compile(r"\{[^}]*\}")
# Not while agents run: at the start of a process, when a person asks, or as upkeep in batches.
NOT_HOT = {
    "schema": "at the start of a process",
    "migrate": "learnops db upgrade",
    "whatif": "learnops crl replay",
    "whatif_rollouts": "learnops crl replay",
    "erasure": "learnops db erase",
    "erasure_pages": "learnops db erase",
    "expiries": "upkeep, in batches",
    "expiries_signals": "upkeep, in batches",
    "retention": "upkeep, in batches",
}


def statements() -> dict[str, re.Pattern[str]]:
    """Each statement of the adapters by module and name, as what it looks like when it is sent."""
    found: dict[str, re.Pattern[str]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in NOT_HOT:
            found |= _of(path)
    return found


def same(text: str) -> str:
    """Without what does not matter: the spaces between words."""
    return " ".join(text.split())


def _of(path: Path) -> dict[str, re.Pattern[str]]:
    tree = ast.parse(path.read_text("utf-8"))
    module = import_module(f"learnops.adapters.postgres.{path.stem}")
    found: dict[str, str] = {}
    for node in tree.body:
        for name in _assigned(node):
            value = getattr(module, name)
            if isinstance(value, str) and _SQL.match(value):
                found[f"{path.stem}.{name}"] = value
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for line, text in _inside(node):
                found[f"{path.stem}:{node.name}:{line - node.lineno}"] = text
    return {name: _pattern(text) for name, text in found.items()}


def _assigned(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [it.id for it in node.targets if isinstance(it, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _inside(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[int, str]]:
    """Statements that stand where they are sent; of an f-string its parts, with gaps."""
    parts = {
        id(part) for it in ast.walk(function) if isinstance(it, ast.JoinedStr) for part in it.values
    }
    found = []
    for it in ast.walk(function):
        text = ""
        if isinstance(it, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in it.values
            )
        elif isinstance(it, ast.Constant) and isinstance(it.value, str) and id(it) not in parts:
            text = it.value
        if _SQL.match(text) and it is not _docstring(function):
            found.append((it.lineno, text))
    return found


def _docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    first = function.body[0]
    return first.value if isinstance(first, ast.Expr) else None


def _pattern(text: str) -> re.Pattern[str]:
    """`{name}` stands for what a function fills in."""
    parts = [re.escape(same(part)) for part in _FILLED_IN.split(text)]
    return re.compile(".*".join(parts))
