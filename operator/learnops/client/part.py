"""Items that an outbox sends in one request."""

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Part(Generic[T]):
    """Items of one request, and how often they failed together."""

    def __init__(self, items: Sequence[T]) -> None:
        self.items = items
        self.failures = 0

    def halves(self) -> "list[Part[T]]":
        """In their order."""
        middle = len(self.items) // 2
        return [Part(self.items[:middle]), Part(self.items[middle:])]
