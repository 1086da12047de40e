"""How far a long command is, told now and then."""

from dataclasses import dataclass, field
from typing import TextIO

from learnops.ports.clock import Clock


@dataclass(kw_only=True)
class Meter:
    """Tells at most every `every_seconds`; a short command tells nothing."""

    clock: Clock
    into: TextIO
    quiet: bool = False
    every_seconds: float = 2.0
    _told: float = field(init=False)

    def __post_init__(self) -> None:
        self._told = self.clock.monotonic()

    def __call__(self, how_far: str) -> None:
        """Say it, unless it was said a moment ago."""
        now = self.clock.monotonic()
        if self.quiet or now - self._told < self.every_seconds:
            return
        self._told = now
        print(f"learnops crl replay: {how_far}", file=self.into, flush=True)
