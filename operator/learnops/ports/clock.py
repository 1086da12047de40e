"""Time, injected."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what people read, monotonic time for durations."""

    def now(self) -> datetime:
        """The present instant, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back."""
