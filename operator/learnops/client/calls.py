"""What a run is started with: ids within bounds, or taken from a decorated call's arguments."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from inspect import (
    isasyncgenfunction,
    isawaitable,
    iscoroutine,
    iscoroutinefunction,
    isgeneratorfunction,
)
from typing import Any, TypeVar

from learnops.client.telemetry import Telemetry
from learnops.domain.text import has_controls

R = TypeVar("R")

_MAX_ID_BYTES = 128

Asked = str | Callable[..., str | None] | None
"""A value, or a function that finds it in the arguments of the call."""


def asked(
    *, tenant: Asked, session: Asked, call: tuple[tuple[Any, ...], Mapping[str, Any]]
) -> dict[str, str | None]:
    """Keyword arguments of `start`. What a given function raises, the caller of the agent gets:
    it is the agent's own code, and a run for nobody would hide its mistake."""
    args, kwargs = call
    return {
        name: given(*args, **kwargs) if callable(given) else given
        for name, given in (("tenant", tenant), ("session", session))
    }


def bounded(field: str, value: str, telemetry: Telemetry) -> str:
    """The id itself, or its hash where the api would refuse it: always the same one."""
    encoded = str(value).encode(errors="surrogatepass")
    if len(encoded) <= _MAX_ID_BYTES and not has_controls(str(value)):
        return str(value)
    telemetry.warn(
        field,
        "%s is over %d bytes or has control characters; its hash is used",
        field,
        _MAX_ID_BYTES,
    )
    return blake2b(encoded, digest_size=16).hexdigest()


def check_plain(function: Callable[..., Any]) -> None:
    """Raises TypeError for a function whose call only makes a coroutine or a generator."""
    if _is(iscoroutinefunction, function):
        raise TypeError("agent must decorate a plain function: use AsyncLearner for a coroutine")
    _check_answer(function)


def check_coroutine(function: Callable[..., Any]) -> None:
    """Raises TypeError for anything but a coroutine function."""
    _check_answer(function)
    if not _is(iscoroutinefunction, function):
        raise TypeError(
            "agent must decorate a coroutine function: use Learner for a plain one, and write "
            "`async def` around one that returns a coroutine"
        )


def answered(result: R, *, withdraw: Callable[[], None]) -> R:
    """The answer of a plain function. Raises TypeError for one that is still to be awaited: then
    nothing has run yet, and the run is withdrawn."""
    if not isawaitable(result):
        return result
    withdraw()
    if iscoroutine(result):
        result.close()
    raise TypeError(
        "agent must decorate a function that returns its answer, and this one returned "
        f"{type(result).__name__}, to be awaited: write `async def` around it and use AsyncLearner"
    )


def _check_answer(function: Callable[..., Any]) -> None:
    if _is(isgeneratorfunction, function) or _is(isasyncgenfunction, function):
        raise TypeError(
            "agent must decorate a function that returns its answer: in a generator use "
            "`with learner.run() as run`"
        )


def _is(kind: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Also of an object that is called."""
    return kind(function) or kind(getattr(type(function), "__call__", None))  # noqa: B004 - its kind
