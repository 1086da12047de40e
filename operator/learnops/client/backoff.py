"""How long to wait before the next try."""

from random import random

MAX_RETRY_AFTER_SECONDS = 60.0


class Backoff:
    """Doubling with jitter, so that agents do not come back to an api all at once."""

    def __init__(self, *, first_seconds: float = 0.1, most_seconds: float = 10.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._next = first_seconds

    def reset(self) -> None:
        """It worked: the next failure starts from the shortest wait."""
        self._next = self._first

    def seconds(self, *, retry_after: float | None = None) -> float:
        """The next wait: between half and all of the step, or what the server asked for and more.

        A server may ask for at most a minute; nobody can switch reporting off by a header. Those
        who were all asked for the same time are spread over a quarter of it.
        """
        step = self._next
        self._next = min(step * 2, self._most)
        jittered = step * (0.5 + random() / 2)  # noqa: S311 - jitter, no secret
        if retry_after is None:
            return jittered
        asked = min(max(retry_after, 0.0), MAX_RETRY_AFTER_SECONDS)
        return asked + max(jittered, random() * asked / 4)  # noqa: S311
