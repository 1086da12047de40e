"""Token usage out of what an OpenAI-compatible client gives back: an object or a dict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learnops.client.usage import Call


@dataclass(frozen=True, slots=True)
class Early:
    """A part of a stream that tells nothing yet: its last part has to."""

    response_id: str | None


def read(response: object) -> Call | Early | None:
    """The call that a response tells of, None where there is no usage to be found; never raises.

    Known are chat completions, completions, embeddings, the Responses API, and the parts of their
    streams.
    """
    try:
        return _read(response)
    except Exception:  # noqa: BLE001 - a stranger's object may raise anything when it is looked at
        return None


def _read(response: object) -> Call | Early | None:
    inner = _get(response, "response")  # an event of a Responses stream holds the answer so far
    whole = response if inner is None else inner
    usage, response_id = _get(whole, "usage"), text_or_none(_get(whole, "id"))
    if usage is None:
        return Early(response_id) if _is_part(response) else None
    sent = tokens(_first(usage, "prompt_tokens", "input_tokens"))
    if sent is None:
        return None
    model = text_or_none(_get(whole, "model"))
    return Call(
        models=() if model is None else (model,),
        input_tokens=sent,
        output_tokens=_output(usage, sent),
        cached_input_tokens=_cached(usage),
        response_id=response_id,
    )


def tokens(value: object) -> int | None:
    """A number of tokens; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value) if value == int(value) else None


def _output(usage: object, sent: int) -> int | None:
    told = tokens(_first(usage, "completion_tokens", "output_tokens"))
    if told is not None:
        return told
    total = tokens(_get(usage, "total_tokens"))  # embeddings have no output, but a total
    return None if total is None or total < sent else total - sent


def _cached(usage: object) -> int:
    details = _first(usage, "prompt_tokens_details", "input_tokens_details")
    return tokens(_get(details, "cached_tokens")) or 0


def _is_part(response: object) -> bool:
    kind, event = _get(response, "object"), _get(response, "type")
    chunk = isinstance(kind, str) and kind.endswith(".chunk")
    return chunk or (isinstance(event, str) and event.startswith("response."))


def text_or_none(value: object) -> str | None:
    """An id or a name; None for what is none: an empty text, or another type."""
    return value if isinstance(value, str) and value else None


def _first(value: object, *names: str) -> Any:
    """The first that is there and not null."""
    found = (_get(value, name) for name in names)
    return next((it for it in found if it is not None), None)


def _get(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
