"""docs/reference/run-log.md names every table, view and column that there is, and no other."""

import re
from pathlib import Path

import psycopg

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "run-log.md"
_NAME = re.compile(r"`([a-z_0-9]+)`")


def test_the_page_names_what_is_there(migrated: str) -> None:
    with psycopg.connect(migrated) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        ).fetchall()
    assert set(found) == _told()


def _told() -> set[tuple[str, str]]:
    told: set[tuple[str, str]] = set()
    for section in PAGE.read_text("utf-8").split("\n### ")[1:]:
        heading, *lines = section.split("\n")
        (table,) = _NAME.findall(heading)
        cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
        told |= {(table, column) for cell in cells for column in _NAME.findall(cell)}
    return told
