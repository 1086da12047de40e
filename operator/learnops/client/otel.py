"""Tokens and costs of runs from OpenTelemetry GenAI spans; needs `pip install learnops[otel]`.

    provider.add_span_processor(RunUsageProcessor())

Attributes are those of the GenAI semantic conventions (`gen_ai.usage.input_tokens`,
`gen_ai.usage.output_tokens`, `gen_ai.usage.cache_read.input_tokens`) and their older names.
"""

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, StatusCode

from learnops.client.context import current
from learnops.client.responses import text_or_none, tokens
from learnops.client.running import Running
from learnops.client.usage import Call
from learnops.client.weak import weak

_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CACHED = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
_MODELS = ("gen_ai.response.model", "gen_ai.request.model")
_OPERATION = "gen_ai.operation.name"
_CALLS = ("chat", "generate_content", "text_completion")  # operations that must tell their usage
_NO_OUTPUT = ("embeddings",)
_MAX_OPEN = 10_000

_Key = tuple[int, int]


@dataclass(slots=True)
class _Open:
    """A span of a run that has not ended; `told`: one within it told usage."""

    run: Running
    parent: _Key | None
    told: bool = False


class RunUsageProcessor(SpanProcessor):
    """Adds what a run's model calls used to the run in whose `with` block their spans began.

    A span that encloses others that told usage counts for nothing, as an agent's span repeats what
    its calls tell, or the last of them. Spans that a sampler drops are never seen: sample so that
    all are at least recorded (`RECORD_ONLY`), or costs come out too low. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        os.register_at_fork(after_in_child=weak(self._after_fork))

    def on_start(
        self,
        span: Span,
        parent_context: Context | None = None,  # noqa: ARG002 - as the caller has it
    ) -> None:
        """Remember whose the span is: it may end in another thread or context."""
        run, key = current(), _key(span.context)
        if run is None or key is None:
            return
        with self._lock:
            self._open[key] = _Open(run=run, parent=_key(span.parent))
            if len(self._open) > _MAX_OPEN:  # spans that never end must not fill the memory
                self._open.popitem(last=False)

    def on_end(self, span: ReadableSpan) -> None:
        """Add the span's usage to its run."""
        key = _key(span.context)
        attributes = span.attributes or {}
        call = read(attributes)
        with self._lock:
            ended = None if key is None else self._open.pop(key, None)
            if ended is None:
                return
            parent = None if ended.parent is None else self._open.get(ended.parent)
            if parent is not None and (ended.told or call is not None):
                parent.told = True
        if ended.told:
            return
        if call is not None:
            ended.run.record(call, "span")
        elif attributes.get(_OPERATION) in _CALLS and span.status.status_code != StatusCode.ERROR:
            ended.run.record_silent("span")

    def _after_fork(self) -> None:
        """Another thread of the parent may have held the lock, and does not live in the child."""
        self._lock = RLock()


def read(attributes: Mapping[str, Any]) -> Call | None:
    """The model call that a span's attributes tell of; None: no usage."""
    sent = tokens(_first(attributes, _INPUT))
    if sent is None:
        return None
    made = tokens(_first(attributes, _OUTPUT))
    if made is None and attributes.get(_OPERATION) in _NO_OUTPUT:
        made = 0
    names = (attributes.get(name) for name in _MODELS)
    response_id = attributes.get("gen_ai.response.id")
    return Call(
        models=tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name)),
        input_tokens=sent,
        output_tokens=made,
        cached_input_tokens=tokens(_first(attributes, _CACHED)) or 0,
        response_id=text_or_none(response_id),
    )


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if name in attributes), None)


def _key(context: SpanContext | None) -> _Key | None:
    return None if context is None else (context.trace_id, context.span_id)
