"""What a command says of a database that is not there, or of a URL that is none: one line."""

import pytest

from learnops.cli.main import main

# Nothing can listen there.
AWAY = "postgresql://learnops:planted-secret@127.0.0.1:1/learnops"


@pytest.mark.parametrize("url", ["nonsense", "postgresql://u:planted-secret@h/d?x", "host"])
@pytest.mark.parametrize("command", [("db", "upgrade"), ("api",), ("operator",)])
def test_a_url_that_cannot_be_read_is_named_and_not_repeated(
    url: str,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", url)
    assert main(command) == 2
    told = capsys.readouterr().err
    way_out = "use postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    assert told == f"learnops {command[0]}: LEARNOPS_DATABASE_URL cannot be read: {way_out}\n"


@pytest.mark.parametrize(
    "command", [("db", "upgrade"), ("db", "retention", "--keep", "runs=30d", "--dry-run")]
)
def test_a_database_that_is_away_is_no_traceback(
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", AWAY)
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith("learnops db: no database there: ")
    assert "Traceback" not in told
    assert "planted-secret" not in told
