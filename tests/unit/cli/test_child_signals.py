"""Signals that come while a command starts: each reaches it, and what is typed only once."""

import os
import signal

import pytest

from learnops.cli import child
from learnops.cli.child import Signals


class Started:
    """What the command is sent."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send_signal(self, number: int) -> None:
        self.sent.append(number)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that sends its interrupts to this process, and so to the command."""
    monkeypatch.setattr(child, "_typed", lambda: True)


def caught(number: int, *, starting: bool) -> list[int]:
    """What a command gets of a signal that comes before it is there."""
    before = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        started = Started()
        with Signals() as signals:
            if starting:
                signals.begin()
            os.kill(os.getpid(), number)
            signals.begin()
            signals.attach(started)  # type: ignore[arg-type]
        assert signals.caught == number
        return started.sent
    finally:
        signal.signal(number, before)


@pytest.mark.usefixtures("typed")
def test_an_interrupt_that_is_typed_while_it_starts_is_not_sent_again() -> None:
    assert caught(signal.SIGINT, starting=True) == []


@pytest.mark.usefixtures("typed")
def test_one_that_was_typed_before_is_sent_as_its_terminal_knew_no_command() -> None:
    assert caught(signal.SIGINT, starting=False) == [signal.SIGINT]


@pytest.mark.usefixtures("typed")
def test_what_no_terminal_sends_is_sent_however_it_comes() -> None:
    assert caught(signal.SIGTERM, starting=True) == [signal.SIGTERM]
