"""When to look for what ended processes left."""

from collections.abc import Callable


class Search:
    """Due at once, and again after each period; one that is due stays so until it is taken. Used by
    one thread alone."""

    def __init__(self, *, every_seconds: float, clock: Callable[[], float]) -> None:
        self._every_seconds = every_seconds
        self._clock = clock
        self._at = clock()
        self._due = False

    def seconds(self) -> float:
        """Until it is due next."""
        return max(self._at - self._clock(), 0.0)

    def look(self) -> None:
        """See whether a period is over."""
        if self.seconds() <= 0.0:
            self._at = self._clock() + self._every_seconds
            self._due = True

    def take(self) -> bool:
        """Whether it is due; then it is done with."""
        due, self._due = self._due, False
        return due
