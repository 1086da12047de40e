"""How long the steps of a start are waited for."""

import time

from learnops.client.waiting import Signal, Steps, Wait, in_slices

LONG_SECONDS = 3600.0


def never() -> bool:
    return False


def waits(*seconds: float) -> Steps[list[float]]:
    """Waits for what never happens; how long each took."""
    took = []
    for each in seconds:
        began = time.monotonic()
        yield Wait(signal=Signal(), seconds=each)
        took.append(time.monotonic() - began)
    return took


def test_all_waits_together_end_by_then() -> None:
    until = time.monotonic() + 0.5
    took = in_slices(waits(0.1, LONG_SECONDS), over=never, until=until)
    assert took is not None
    assert took[0] >= 0.1
    assert time.monotonic() >= until


def test_each_may_take_the_least_that_is_said_and_no_more_than_it_asked_for() -> None:
    gone = time.monotonic() - 1.0
    took = in_slices(waits(LONG_SECONDS, 0.1), over=never, until=gone, least=0.3)
    assert took is not None
    assert took[0] >= 0.3
    assert in_slices(waits(0.0), over=never, until=gone, least=LONG_SECONDS) is not None


def test_nobody_waits_for_what_is_over() -> None:
    assert in_slices(waits(LONG_SECONDS), over=lambda: True) is None
