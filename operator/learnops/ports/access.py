"""Who is asking, and what they may do: decided by whoever issues the tokens, never by us."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class AccessUnavailableError(Exception):
    """Nobody can tell now whose token it is, or what its owner may do; try again later.

    It is neither a yes nor a no: a caller must not be let in, and must not be told to give up.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class Verb(StrEnum):
    """What can be done with a doer through the api; the verbs of its RBAC rules."""

    INGEST = "ingest"
    """Report runs, and what candidates in shadow came to."""
    ROUTE = "route"
    """Ask for the traffic, draw and register runs."""
    READ = "read"
    """Read runs, policies and reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a token belongs to, as the issuer tells it; all of it decides what they may do."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What must be allowed: a verb on one doer, or (`doer` None) on every doer of a namespace."""

    verb: Verb
    namespace: str
    doer: str | None = None


class Gatekeeper(Protocol):
    """Knows tokens and rights. Each call ends in time; raises AccessUnavailableError alone."""

    async def authenticate(self, token: str) -> Caller | None:
        """The token's owner; None for one that is nobody's, has expired or is meant for others."""

    async def allows(self, caller: Caller, need: Need) -> bool:
        """Whether the caller may."""
