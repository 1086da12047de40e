"""Waiting on a condition with a deadline, the only form of waiting in the testbed."""

import time
from collections.abc import Callable
from typing import TypeVar

from testbed.errors import TestbedError

T = TypeVar("T")


def wait_until(
    check: Callable[[], T | None],
    *,
    what: str,
    deadline_seconds: float,
    interval_seconds: float = 0.05,
    explain: Callable[[], str] = lambda: "",
) -> T:
    """Poll ``check`` until it returns something true and return that.

    ``check`` is polled once more after the deadline, so a machine that was suspended or very busy
    does not fail for its clock alone. Raises TestbedError naming ``what``, with ``explain()``.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        late = time.monotonic() >= end
        result = check()
        if result:
            return result
        if late:
            raise TestbedError(f"waited {deadline_seconds:g} s for {what}{_detail(explain())}")
        time.sleep(interval_seconds)


def _detail(text: str) -> str:
    return f":\n{text}" if text else ""
