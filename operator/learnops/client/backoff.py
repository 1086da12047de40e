"""How long to wait before the next try."""

from random import random

from learnops.domain.backoff import Delays

MAX_RETRY_AFTER_SECONDS = 60.0


class Backoff:
    """Doubling with jitter, so that agents do not come back to an api all at once."""

    def __init__(self, *, first_seconds: float = 0.1, most_seconds: float = 10.0) -> None:
        self._delays = Delays(first_seconds=first_seconds, most_seconds=most_seconds)
        self._failures = 0

    def reset(self) -> None:
        """It worked: the next failure starts from the shortest wait."""
        self._failures = 0

    def seconds(self, *, retry_after: float | None = None) -> float:
        """The next wait: between half and all of the step, or what the server asked for and more.

        A server may ask for at most a minute; nobody can switch reporting off by a header. Those
        who were all asked for the same time are spread over a quarter of it.
        """
        self._failures += 1
        jittered = self._delays.after(self._failures, chance=random())  # noqa: S311 - no secret
        if retry_after is None:
            return jittered
        asked = min(max(retry_after, 0.0), MAX_RETRY_AFTER_SECONDS)
        return asked + max(jittered, random() * asked / 4)  # noqa: S311
