"""When a signal was observed is told as a time, never as a number of anything."""

import pytest
from pydantic import ValidationError

from learnops.server.signal_models import LaterSignal


def observed(at: object) -> str | None:
    signal = {"name": "tests", "value": 1, "key": "k", "observedAt": at}
    time = LaterSignal.model_validate(signal).observed_at
    return None if time is None else time.isoformat()


@pytest.mark.parametrize("at", ["1763632800", "1763632800.5", "+1763632800", "-1", 1763632800])
def test_seconds_since_1970_are_no_time(at: object) -> None:
    with pytest.raises(ValidationError, match="must be a time as text"):
        observed(at)


def test_a_time_may_be_absent_and_has_any_offset() -> None:
    assert observed(None) is None
    assert observed("2026-11-20T11:00:00+01:00") == "2026-11-20T10:00:00+00:00"
