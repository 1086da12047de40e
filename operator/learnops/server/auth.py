"""Who is asking: a bearer token."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from learnops.server.problems import Problem

TOKEN_VARIABLE = "LEARNOPS_DEV_TOKEN"  # noqa: S105 - the variable's name
_IN_CLUSTER_VARIABLE = "KUBERNETES_SERVICE_HOST"
_MIN_TOKEN_CHARACTERS = 16


class AuthSetupError(Exception):
    """The api may not start as it is configured; the message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who a token belongs to."""

    name: str


class Authenticator(Protocol):
    """Tells whose token it is."""

    async def authenticate(self, token: str) -> Caller | None:
        """The caller, None for a token that is nobody's."""


class DevelopmentToken:
    """One shared token, for a machine on which no Kubernetes issues tokens to agents."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def authenticate(self, token: str) -> Caller | None:
        """Compared in constant time."""
        if secrets.compare_digest(token.encode("utf-8", "surrogateescape"), self._token):
            return Caller(name="development")
        return None


def authenticator(environ: Mapping[str, str] = os.environ) -> Authenticator:
    """The authenticator that the environment asks for; raises AuthSetupError."""
    token = environ.get(TOKEN_VARIABLE, "")
    if token and environ.get(_IN_CLUSTER_VARIABLE):
        raise AuthSetupError(
            f"{TOKEN_VARIABLE} is set, and this is a pod of a cluster: one token shared by all is "
            "for development only; unset it"
        )
    if not token:
        raise AuthSetupError(
            f"no way to tell who is asking: set {TOKEN_VARIABLE} to a secret of at least "
            f"{_MIN_TOKEN_CHARACTERS} characters, and give the same to the agents as LEARNOPS_TOKEN"
        )
    if len(token) < _MIN_TOKEN_CHARACTERS:
        raise AuthSetupError(
            f"{TOKEN_VARIABLE} has {len(token)} characters; use at least {_MIN_TOKEN_CHARACTERS}"
        )
    return DevelopmentToken(token)


async def check(header: str | None, *, by: Authenticator) -> Caller:
    """The caller of an `Authorization` header; raises Problem 401."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem(HTTPStatus.UNAUTHORIZED, "send Authorization: Bearer TOKEN")
    caller = await by.authenticate(token.strip())
    if caller is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "this token is not known")
    return caller
