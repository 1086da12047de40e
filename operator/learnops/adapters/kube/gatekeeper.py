"""The `Gatekeeper` port on a real API server: TokenReview and SubjectAccessReview."""

import logging
from typing import Any, Final

from learnops.adapters.kube.rest import Json, RestClient
from learnops.api.common import GROUP, VERSION
from learnops.api.doer import Doer
from learnops.ports.access import AccessUnavailableError, Caller, Need
from learnops.ports.kube import ConflictError, GoneError, KubeUnavailableError, RefusedError

log = logging.getLogger(__name__)

TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
REVIEW_SECONDS: Final = 5.0
# Longer than any token that Kubernetes issues, shorter than anything that hurts.
MAX_TOKEN_CHARACTERS: Final = 16_384


class KubeGatekeeper:
    """Asks the API server each time. A token counts only where it is meant for `audience`."""

    def __init__(self, *, rest: RestClient, audience: str) -> None:
        self._rest = rest
        self._audience = audience
        self._away = False

    async def authenticate(self, token: str) -> Caller | None:
        """By TokenReview; raises AccessUnavailableError."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        spec = {"token": token, "audiences": [self._audience]}
        status = await self._review(TOKEN_REVIEWS, kind="TokenReview", spec=spec)
        # An authenticator that knows no audiences names none: such a token is the API server's.
        meant_for_us = self._audience in (status.get("audiences") or ())
        if status.get("authenticated") is not True or not meant_for_us:
            return None
        return _caller(status.get("user") or {})

    async def allows(self, caller: Caller, need: Need) -> bool:
        """By SubjectAccessReview; raises AccessUnavailableError."""
        attributes = {
            "group": GROUP,
            "version": VERSION,
            "resource": Doer.plural,
            "verb": need.verb.value,
            "namespace": need.namespace,
        }
        spec = {
            "user": caller.name,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {name: list(values) for name, values in caller.extra},
            "resourceAttributes": attributes
            if need.doer is None
            else {**attributes, "name": need.doer},
        }
        status = await self._review(ACCESS_REVIEWS, kind="SubjectAccessReview", spec=spec)
        return status.get("allowed") is True and status.get("denied") is not True

    async def _review(self, path: str, *, kind: str, spec: Json) -> Json:
        """The review's status. What is told or logged on failure holds nothing of `spec`."""
        group, version = path.split("/")[2:4]
        body = {"apiVersion": f"{group}/{version}", "kind": kind, "spec": spec}
        try:
            answer = await self._rest.call("POST", path, body=body)
        except KubeUnavailableError as error:
            self._note(f"{kind}: {error}")
            raise AccessUnavailableError(kind, retry_after=error.retry_after) from error
        except (RefusedError, ConflictError, GoneError) as error:
            # 403: the api's own service account lacks the rights of ClusterRole learnops-api.
            self._note(f"{kind}: {error}")
            raise AccessUnavailableError(kind) from error
        self._note(None)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise AccessUnavailableError(f"{kind}: an answer without a status")
        return status

    def _note(self, failure: str | None) -> None:
        """One line when reviews begin to fail, one when they work again."""
        if failure is not None and not self._away:
            log.error("reviews fail, so whoever is not known yet is answered 503: %s", failure)
        elif failure is None and self._away:
            log.warning("reviews work again")
        self._away = failure is not None


def _caller(user: dict[str, Any]) -> Caller | None:
    name = user.get("username")
    if not name:
        return None
    extra = user.get("extra") or {}
    return Caller(
        name=str(name),
        uid=str(user.get("uid") or ""),
        groups=tuple(user.get("groups") or ()),
        extra=tuple(sorted((key, tuple(values or ())) for key, values in extra.items())),
    )
