"""Usage out of what clients give back, as dicts and as objects; what is odd never raises."""

from types import SimpleNamespace
from typing import Any

import pytest

from learnops.client.responses import Early, read
from learnops.client.usage import Call

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "small-2026-01-31",
    "usage": {
        "prompt_tokens": 19,
        "completion_tokens": 10,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "large",
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 87,
        "total_tokens": 123,
    },
}
EMBEDDINGS = {
    "object": "list",
    "data": [],
    "model": "embed",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def as_object(value: Any) -> Any:
    """The same as attributes, as client libraries give it back."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(inner) for name, inner in value.items()})
    return value


@pytest.mark.parametrize("shape", [lambda it: it, as_object])
def test_what_the_known_answers_tell(shape: Any) -> None:
    assert read(shape(CHAT)) == Call(
        models=("small-2026-01-31",),
        input_tokens=19,
        output_tokens=10,
        cached_input_tokens=8,
        response_id="chatcmpl-1",
    )
    assert read(shape(RESPONSE)) == Call(
        models=("large",),
        input_tokens=36,
        output_tokens=87,
        cached_input_tokens=4,
        response_id="resp_1",
    )
    assert read(shape(EMBEDDINGS)) == Call(models=("embed",), input_tokens=8, output_tokens=0)
    event = {"type": "response.completed", "response": RESPONSE}
    assert read(shape(event)) == read(RESPONSE)


@pytest.mark.parametrize("shape", [lambda it: it, as_object])
def test_parts_of_a_stream_wait_for_the_last_one(shape: Any) -> None:
    part = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "usage": None}
    assert read(shape(part)) == Early("chatcmpl-1")
    assert read(shape({"type": "response.output_text.delta", "delta": "x"})) == Early(None)
    created = {"type": "response.created", "response": {**RESPONSE, "usage": None}}
    assert read(shape(created)) == Early("resp_1")
    last = {**part, "model": "small", "usage": CHAT["usage"]}
    told = read(shape(last))
    assert isinstance(told, Call)
    assert (told.input_tokens, told.response_id) == (19, "chatcmpl-1")


def test_output_that_is_not_told_is_unknown() -> None:
    told = read({"usage": {"prompt_tokens": 8}})
    assert isinstance(told, Call)
    assert told.output_tokens is None


class Hostile:
    """Raises whenever it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


ODD: dict[str, Any] = {
    "nothing": None,
    "text": "the answer",
    "bytes": b'{"usage": {}}',
    "a list": [CHAT],
    "a number": 7,
    "no usage": {**CHAT, "usage": None},
    "empty usage": {**CHAT, "usage": {}},
    "usage is text": {**CHAT, "usage": "29"},
    "tokens are text": {**CHAT, "usage": {"prompt_tokens": "19", "completion_tokens": 10}},
    "a boolean": {**CHAT, "usage": {"prompt_tokens": True, "completion_tokens": 10}},
    "negative": {**CHAT, "usage": {"prompt_tokens": -1, "completion_tokens": 10}},
    "half a token": {**CHAT, "usage": {"prompt_tokens": 0.5, "completion_tokens": 10}},
    "no number": {**CHAT, "usage": {"prompt_tokens": float("nan"), "completion_tokens": 10}},
    "endless": {**CHAT, "usage": {"prompt_tokens": float("inf"), "completion_tokens": 10}},
    "hostile": Hostile(),
    "hostile usage": {"usage": Hostile()},
}


@pytest.mark.parametrize("case", ODD)
def test_what_tells_no_usage_is_none_and_never_raises(case: str) -> None:
    assert read(ODD[case]) is None


def test_odd_names_are_left_out() -> None:
    told = read({**CHAT, "id": 7, "model": ["small"]})
    assert isinstance(told, Call)
    assert (told.models, told.response_id) == ((), None)
