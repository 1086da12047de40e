"""The system's clock, for the processes that are put together in `cli`."""

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.clock.Clock` on the machine's clocks."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back."""
        return time.monotonic()
