"""Who is asking: a bearer token."""

import logging
import os
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need
from learnops.server.access import undecided
from learnops.server.problems import Problem

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "LEARNOPS_DEV_TOKEN"  # noqa: S105 - the variable's name
_IN_CLUSTER_VARIABLE = "KUBERNETES_SERVICE_HOST"
_MIN_TOKEN_CHARACTERS = 16
_UNKNOWN = "this token is not known, has expired, or was issued for another audience"


class AuthSetupError(Exception):
    """The api may not start as it is configured; the message says what to set."""


class DevelopmentToken:
    """One shared token, for a machine on which no Kubernetes issues tokens to agents."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def authenticate(self, token: str) -> Caller | None:
        """Compared in constant time."""
        if secrets.compare_digest(token.encode("utf-8", "surrogateescape"), self._token):
            return Caller(name="development")
        return None

    async def allows(self, caller: Caller, need: Need) -> bool:  # noqa: ARG002 - the port's
        """Everything: one token for all tells nobody apart."""
        return True


def development_token(environ: Mapping[str, str] = os.environ) -> DevelopmentToken | None:
    """The token that the environment gives, None without one; raises AuthSetupError."""
    token = environ.get(TOKEN_VARIABLE, "")
    if token and environ.get(_IN_CLUSTER_VARIABLE):
        raise AuthSetupError(
            f"{TOKEN_VARIABLE} is set, and this is a pod of a cluster: one token shared by all is "
            "for development only; unset it, and agents are known by their service accounts"
        )
    if not token:
        return None
    if len(token) < _MIN_TOKEN_CHARACTERS:
        raise AuthSetupError(
            f"{TOKEN_VARIABLE} has {len(token)} characters; use at least {_MIN_TOKEN_CHARACTERS}"
        )
    log.warning(
        "%s lets whoever has it do everything; no token of Kubernetes is taken", TOKEN_VARIABLE
    )
    return DevelopmentToken(token)


async def check(header: str | None, *, by: Gatekeeper) -> Caller:
    """The caller of an `Authorization` header; raises Problem 401, and 503 where nobody can tell.

    An outage is never a 401: an agent would have to take that for its own fault.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem(HTTPStatus.UNAUTHORIZED, "send Authorization: Bearer TOKEN")
    try:
        caller = await by.authenticate(token.strip())
    except AccessUnavailableError as error:
        raise undecided(error) from error
    if caller is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, _UNKNOWN)
    return caller
