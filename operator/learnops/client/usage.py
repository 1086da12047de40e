"""What the model calls of one run used, each call once whoever tells of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fractions import Fraction

    from learnops.client.prices import Prices

Source = Literal["span", "response"]

_MAX_CALLS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model, in tokens.

    Attributes:
        models: names of the model, the most exact first.
        input_tokens: all of the input, cached tokens included.
        output_tokens: all of the output, reasoning included; None: not told.
        cached_input_tokens: those of the input that came from a cache.
        response_id: the provider's id of the answer; None: not told.
    """

    models: tuple[str, ...]
    input_tokens: int
    output_tokens: int | None
    cached_input_tokens: int = 0
    response_id: str | None = None

    def larger(self, other: "Call") -> "Call":
        """The same call told twice (a stream tells totals so far): the larger numbers."""
        outputs = [it for it in (self.output_tokens, other.output_tokens) if it is not None]
        return Call(
            models=tuple(dict.fromkeys((*self.models, *other.models))),
            input_tokens=max(self.input_tokens, other.input_tokens),
            output_tokens=max(outputs, default=None),
            cached_input_tokens=max(self.cached_input_tokens, other.cached_input_tokens),
            response_id=self.response_id or other.response_id,
        )


class _Entry:
    """A call, and who told of it."""

    __slots__ = ("call", "sources")

    def __init__(self, call: Call, source: Source) -> None:
        self.call = call
        self.sources = {source}


class Ledger:
    """The calls of one run. Thread-safe.

    A span and a response are the same call if they have the same response id or, where one of them
    has none, the same numbers of input and output tokens; each is matched with one other at most.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # as for telemetry
        self._entries: list[_Entry] = []
        self._by_id: dict[str, _Entry] = {}
        self._by_tokens: dict[tuple[int, int | None], list[_Entry]] = defaultdict(list)
        self._silent: dict[Source, int] = {"span": 0, "response": 0}
        self._streams: set[str] = set()  # ids of which a part was seen
        self._overflowed = False

    def add(self, call: Call, source: Source) -> None:
        """A call that was told."""
        with self._lock:
            entry = self._known(call, source)
            if entry is not None:
                entry.sources.add(source)
                entry.call = entry.call.larger(call)
            elif len(self._entries) >= _MAX_CALLS:
                self._overflowed = True
                return
            else:
                entry = _Entry(call, source)
                self._entries.append(entry)
                self._by_tokens[(call.input_tokens, call.output_tokens)].append(entry)
            if entry.call.response_id is not None:
                self._by_id[entry.call.response_id] = entry

    def add_silent(self, source: Source) -> None:
        """A call of which nobody knows what it used: the cost of the run is not known then."""
        with self._lock:
            self._silent[source] += 1

    def begin_stream(self, response_id: str) -> None:
        """A part of an answer that has not told its usage; unless it does, the call is silent."""
        with self._lock:
            if len(self._streams) < _MAX_CALLS:
                self._streams.add(response_id)

    def costs(self, prices: "Prices | None") -> dict[str, Any]:
        """The section `costs` of a bundle; empty where no call was told.

        `costUSD` is there only where every call has a price: a cost that is not known must not look
        like a low one.
        """
        with self._lock:
            calls = [entry.call for entry in self._entries]
            silent = self._silent_calls()
        if not calls and not silent:
            return {}
        told: dict[str, Any] = {
            "modelCalls": len(calls) + silent,
            "inputTokens": sum(call.input_tokens for call in calls),
            "outputTokens": sum(call.output_tokens or 0 for call in calls),
        }
        if cached := sum(call.cached_input_tokens for call in calls):
            told["cachedInputTokens"] = cached
        if silent:
            told["callsWithoutUsage"] = silent
        return {**told, **self._priced(calls, prices, silent=silent)}

    def _priced(
        self, calls: list[Call], prices: "Prices | None", *, silent: int
    ) -> Mapping[str, float | int]:
        if prices is None:
            return {}
        cost: Fraction | int = 0
        unpriced = 0
        for call in calls:
            price = prices.find(call.models)
            if price is None or call.output_tokens is None:
                unpriced += call.input_tokens + (call.output_tokens or 0)
                continue
            cost += price.cost(
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                cached_input_tokens=call.cached_input_tokens,
            )
        if unpriced:
            return {"unpricedTokens": unpriced}
        return {} if silent or self._overflowed else {"costUSD": float(cost)}

    def _known(self, call: Call, source: Source) -> _Entry | None:
        if call.response_id is not None and call.response_id in self._by_id:
            return self._by_id[call.response_id]
        for entry in self._by_tokens.get((call.input_tokens, call.output_tokens), ()):
            both_named = entry.call.response_id is not None and call.response_id is not None
            if source not in entry.sources and not both_named:
                return entry
        return None

    def _silent_calls(self) -> int:
        """Spans without usage may be of the very calls that their responses tell of."""
        responses = self._silent["response"] + len(self._streams - self._by_id.keys())
        only_responses = sum(entry.sources == {"response"} for entry in self._entries)
        return responses + max(self._silent["span"] - only_responses - responses, 0)
