"""A background loop's alarm clock: runs at its period, and at once when there is work."""

import asyncio


class Wake:
    """Set by whoever has work; awaited by the loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """There is work."""
        self._event.set()

    async def wait(self, *, period_seconds: float) -> None:
        """Return when there is work, or after the period."""
        try:
            async with asyncio.timeout(period_seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
