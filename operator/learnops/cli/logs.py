"""Logs: one JSON object per line, or a readable line on a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, style: str = "auto", level: str = "info", stream: TextIO = sys.stderr) -> None:
    """Set up the root logger. `style`: json, text, or auto (text on a terminal)."""
    readable = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if readable else JsonFormatter())
    handler.addFilter(_is_of_use)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # The pool warns of every attempt; who needs the database says so once, with the key.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
    """One JSON object per record, its extra fields beside the usual ones."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message and the extra fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it."""
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        line = f"{_instant(record)} {record.levelname:<7} {record.getMessage()} {extra}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _is_of_use(record: logging.LogRecord) -> bool:
    # kopf's thread leaves signals to the main thread, as it should; its warning would mislead.
    return not (record.name.startswith("kopf") and "OS signals are ignored" in str(record.msg))
