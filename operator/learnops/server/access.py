"""What the caller of a request may do; every route asks before it answers."""

import math
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from learnops.api.common import GROUP
from learnops.api.doer import Doer
from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need, Verb
from learnops.server.permits import Permits
from learnops.server.problems import Problem

_MOST_RETRY_SECONDS: Final = 60
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


class Forbidden(Problem):
    """403 that tells which right is missing, and the RBAC rule that grants it."""

    def __init__(self, caller: Caller, need: Need) -> None:
        one = "" if need.doer is None else f" {need.doer!r}"
        rule = f"{{apiGroups: [{GROUP}], resources: [{Doer.plural}], verbs: [{need.verb.value}]}}"
        super().__init__(
            HTTPStatus.FORBIDDEN,
            f"{caller.name!r} may not {need.verb.value} {Doer.plural}.{GROUP}{one} in namespace "
            f"{need.namespace!r}; bind it there to a Role with the rule {rule}",
        )
        self.need = need

    def body(self) -> dict[str, Any]:
        """With the missing right as fields of their own."""
        missing = {
            "verb": self.need.verb.value,
            "group": GROUP,
            "resource": Doer.plural,
            "namespace": self.need.namespace,
            "name": self.need.doer,
        }
        return super().body() | {"missing": missing}


def undecided(error: AccessUnavailableError) -> Problem:
    """503: never a yes, and never a no for which an agent would throw its runs away."""
    asked = 1 if error.retry_after is None else math.ceil(error.retry_after)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Kubernetes does not tell now who is asking and what they may do; nothing was done",
        retry_after=max(1, min(asked, _MOST_RETRY_SECONDS)),
    )


class Access:
    """What the caller of one request may do. `asked`: whether its route has looked at all."""

    def __init__(self, *, caller: Caller, by: Gatekeeper) -> None:
        self._caller = caller
        self._by = by
        self.asked = False

    @property
    def whose(self) -> str:
        """Whom what the caller sends counts for: a service account's namespace, else the caller."""
        prefix, _, rest = self._caller.name.partition(_SERVICE_ACCOUNT)
        return self._caller.name if prefix or not rest else rest.partition(":")[0]

    async def require(self, verb: Verb, *, namespace: str, doer: str | None = None) -> None:
        """Raises Forbidden, and Problem 503 where nobody can tell."""
        refusal = await self._refusal((verb,), namespace=namespace, doer=doer)
        if refusal is not None:
            raise refusal

    async def require_of(
        self, *verbs: Verb, namespace: str, owner: Callable[[], Awaitable[str | None]]
    ) -> None:
        """For an object whose doer is found out by `owner`; any of the verbs is enough.

        Who may not read all of the namespace is told the same of another's object and of one that
        does not exist. Raises as `require`, and what `owner` raises.
        """
        refusal = await self._refusal(verbs, namespace=namespace, doer=None)
        if refusal is None:
            return
        doer = await owner()
        if doer is None or await self._refusal(verbs, namespace=namespace, doer=doer):
            raise refusal

    def permits(self, verb: Verb) -> Permits:
        """For a batch, whose doers come up one by one."""
        self.asked = True
        return Permits(verb, refusal=self._refusal_of)

    async def _refusal_of(self, need: Need) -> Forbidden | None:
        return None if await self._allows(need) else Forbidden(self._caller, need)

    async def _refusal(
        self, verbs: Sequence[Verb], *, namespace: str, doer: str | None
    ) -> Forbidden | None:
        """Names the first verb, where none of them is allowed."""
        self.asked = True
        needs = [Need(verb=verb, namespace=namespace, doer=doer) for verb in verbs]
        for need in needs:
            if await self._allows(need):
                return None
        return Forbidden(self._caller, needs[0])

    async def _allows(self, need: Need) -> bool:
        try:
            return await self._by.allows(self._caller, need)
        except AccessUnavailableError as error:
            raise undecided(error) from error
