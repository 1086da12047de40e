"""What the HTTP server beneath the api logs goes through the api's own formatter."""

import io
import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from learnops.cli.api_process import ApiSettings, _listening
from learnops.server.discretion import DiscreetFormatter


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the handler of the api writes, which hangs on the root."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(DiscreetFormatter("%(message)s"))
    # Before pytest's own, whose text of the traceback would be kept with the record.
    logging.getLogger().handlers.insert(0, handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def test_a_bug_that_the_server_tells_of_is_masked(
    written: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    _listening(FastAPI(), ApiSettings(database_url=""))
    try:
        raise ValueError("row (ada@example.org)")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert "row ([email])" in written.getvalue()
    told = capfd.readouterr()
    assert "ada@" not in written.getvalue() + told.out + told.err
