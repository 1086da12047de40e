"""Logs: one line per record, machine-readable or readable."""

import io
import json
import logging
import sys

import pytest

from learnops.cli import logs
from learnops.cli.main import main


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "learnops.x", "levelname": "INFO", **extra})
    made.created, made.msg = 0.0, "pass"
    return made


def test_a_json_line_has_the_extra_fields() -> None:
    line = logs.JsonFormatter().format(record(key="agents/planner", rules=["step: up"]))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.000Z",
        "level": "info",
        "logger": "learnops.x",
        "message": "pass",
        "key": "agents/planner",
        "rules": ["step: up"],
    }


def test_a_traceback_stays_on_the_json_line() -> None:
    try:
        raise ValueError("ours")
    except ValueError:
        line = logs.JsonFormatter().format(record(exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: ours" in json.loads(line)["exception"]


def test_text_is_for_people() -> None:
    line = logs.TextFormatter().format(record(key="agents/planner"))
    assert line == "1970-01-01T00:00:00.000Z INFO    pass key=agents/planner"


def test_a_pipe_gets_json_by_default() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(stream=stream)
        logging.getLogger("learnops.x").info("hello", extra={"n": 1})
        logging.getLogger("kopf.reactor").warning("OS signals are ignored: not in the main thread")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert json.loads(stream.getvalue())["n"] == 1


def test_help_names_the_variable_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["operator", "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "LEARNOPS_DATABASE_URL" in told
    assert "learnops operator --kubeconfig" in told


def test_without_a_database_it_says_which_variable_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEARNOPS_DATABASE_URL", raising=False)
    assert main(["operator"]) == 2
    assert "set LEARNOPS_DATABASE_URL" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "1e9"])
def test_a_tick_out_of_range_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["operator", "--tick-seconds", wrong])
    assert ended.value.code == 2
    assert "is not a number of seconds between 0.1 and 3600" in capsys.readouterr().err
