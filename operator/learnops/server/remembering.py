"""What reviews told, remembered for a short time, so that not every request asks the API server."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need
from learnops.ports.clock import Clock

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_TOKENS: Final = 4_096
_DECISIONS: Final = 16_384
# Questions that may be open at once; whoever comes beyond that is told to come again.
_OPEN: Final = 256
# A right that was just granted is seen sooner than one that was taken away.
_REFUSAL_SHARE: Final = 1 / 6


class _Shelf(Generic[Key, Value]):
    """At most `capacity` values, each for `seconds`; the least recently used goes first."""

    def __init__(self, *, clock: Clock, capacity: int, seconds: float) -> None:
        self._clock = clock
        self._capacity = capacity
        self._seconds = seconds
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def find(self, key: Key) -> Value | None:
        found = self._kept.get(key)
        if found is None:
            return None
        until, value = found
        if self._clock.monotonic() >= until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return value

    def put(self, key: Key, value: Value, *, asked_at: float) -> None:
        # Counted from the question: what changed while it was answered may not be in the answer.
        self._kept[key] = (asked_at + self._seconds, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


class Memory(Generic[Key, Value]):
    """Answers by key; None is a refusal. Equal questions that come together are asked once.

    Refusals have a shelf of their own: a flood of made-up tokens cannot push out what is known of
    good ones. A question that fails is not remembered.
    """

    def __init__(self, *, clock: Clock, capacity: int, ttl_seconds: float) -> None:
        self._clock = clock
        self._answers: _Shelf[Key, Value] = _Shelf(
            clock=clock, capacity=capacity, seconds=ttl_seconds
        )
        self._refusals: _Shelf[Key, bool] = _Shelf(
            clock=clock, capacity=capacity, seconds=ttl_seconds * _REFUSAL_SHARE
        )
        self._open: dict[Key, asyncio.Task[Value | None]] = {}

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> Value | None:
        """The answer. Raises what `ask` raises, and AccessUnavailableError where too much is
        being asked."""
        known = self._answers.find(key)
        if known is not None or self._refusals.find(key):
            return known
        task = self._open.get(key)
        if task is None:
            if len(self._open) >= _OPEN:
                raise AccessUnavailableError("too many reviews are open")
            task = self._open[key] = asyncio.create_task(self._ask(key, ask))
            task.add_done_callback(lambda ended: self._close(key, ended))
        # A caller that hangs up must not end the question for the others.
        return await asyncio.shield(task)

    async def _ask(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> Value | None:
        asked_at = self._clock.monotonic()
        answer = await ask()
        if answer is None:
            self._refusals.put(key, True, asked_at=asked_at)
        else:
            self._answers.put(key, answer, asked_at=asked_at)
        return answer

    def _close(self, key: Key, ended: asyncio.Task[Value | None]) -> None:
        del self._open[key]
        if not ended.cancelled():
            ended.exception()  # looked at here, as everybody who waited may be gone


class RememberingGatekeeper:
    """A `Gatekeeper` before another one. What it told is good for `ttl_seconds`, a refusal for a
    sixth of that; while the other one is away, what is still good goes on being good."""

    def __init__(self, asks: Gatekeeper, *, clock: Clock, ttl_seconds: float) -> None:
        self._asks = asks
        self._secret = secrets.token_bytes(32)
        self._callers: Memory[bytes, Caller] = Memory(
            clock=clock, capacity=_TOKENS, ttl_seconds=ttl_seconds
        )
        self._rights: Memory[tuple[Caller, Need], bool] = Memory(
            clock=clock, capacity=_DECISIONS, ttl_seconds=ttl_seconds
        )

    async def authenticate(self, token: str) -> Caller | None:
        """The token itself is kept by nobody: its keyed hash stands for it."""
        data = token.encode("utf-8", "surrogateescape")
        key = hashlib.blake2b(data, key=self._secret, digest_size=32).digest()
        return await self._callers.get(key, lambda: self._asks.authenticate(token))

    async def allows(self, caller: Caller, need: Need) -> bool:
        """By caller and need."""

        async def ask() -> bool | None:
            return await self._asks.allows(caller, need) or None

        return await self._rights.get((caller, need), ask) is not None
