"""Time for the core: a clock that moves only when told, and waiting that moves it."""

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at a fixed instant; `advance` moves both clocks."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Other tasks run first; when none of them sets the event, the time jumps to its end."""
        for _ in range(50):
            await asyncio.sleep(0)
            if event.is_set():
                return
        if seconds is None:
            await event.wait()
        else:
            self.advance(seconds)
