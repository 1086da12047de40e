"""What a decorated agent's run is started with, taken from the call's own arguments."""

from collections.abc import Callable, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any

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
