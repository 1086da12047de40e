"""No module of the commands imports itself by way of others, not even later, inside a function."""

from tests.unit.cli.extras import SOURCES, imported_from, imports


def test_no_module_imports_itself() -> None:
    files = sorted((SOURCES / "learnops" / "cli").rglob("*.py"))
    names = [".".join(it.relative_to(SOURCES).with_suffix("").parts) for it in files]
    assert "learnops.cli.retention" in names
    circles = [
        name for name in names if any(name in imported_from(other) for other in imports(name))
    ]
    assert circles == []
