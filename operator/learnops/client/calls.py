"""What a run is started with: ids within bounds, or taken from a decorated call's arguments."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any

from learnops.client.telemetry import Telemetry
from learnops.domain.text import has_controls

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
    if iscoroutinefunction(function):
        raise TypeError("agent must decorate a plain function: use AsyncLearner for a coroutine")
    _check_answer(function)


def check_coroutine(function: Callable[..., Any]) -> None:
    """Raises TypeError for anything but a coroutine function."""
    _check_answer(function)
    if not iscoroutinefunction(function):
        raise TypeError("agent must decorate a coroutine function: use Learner for a plain one")


def _check_answer(function: Callable[..., Any]) -> None:
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(
            "agent must decorate a function that returns its answer: in a generator use "
            "`with learner.run() as run`"
        )
