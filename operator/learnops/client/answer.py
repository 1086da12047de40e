"""What the api answered, or that it did not.

Apart from the transport, whose HTTP library takes most of the import time of the SDK and is loaded
with the first learner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class TransportError(Exception):
    """No whole answer came. `sent` is False where the api surely never saw the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and JSON body (None where the body is empty or is not JSON)."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait (the form with a date is not understood)."""
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isdecimal() else None

    @property
    def detail(self) -> str:
        """What the server says is wrong, cut to a line."""
        if isinstance(self.body, dict):
            told = self.body.get("detail") or self.body.get("title") or ""
            return f"{self.status} {told!s:.300}".rstrip()
        return f"{self.status}"
