"""What the caller of a request may do; every route asks before it answers."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from learnops.api.common import GROUP, Name
from learnops.api.doer import Doer
from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need, Verb
from learnops.server.models import Bundle
from learnops.server.problems import Problem

Target = tuple[str, str]  # namespace, doer

# Reviews that one batch may cause; a right on all doers of a namespace is one review.
_MAX_REVIEWS: Final = 64
_MOST_RETRY_SECONDS: Final = 60
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


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


@dataclass(frozen=True, kw_only=True)
class Permits:
    """What was found out about every doer that a batch names."""

    verdicts: Mapping[Target, Forbidden | None]

    def problem(self, bundle: Bundle) -> Problem | None:
        """Why this bundle is not taken, None if it is."""
        return self.verdicts[bundle.namespace, bundle.doer]


class Access:
    """What the caller of one request may do. `asked`: whether its route has looked at all."""

    def __init__(self, *, caller: Caller, by: Gatekeeper) -> None:
        self._caller = caller
        self._by = by
        self.asked = False

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

    async def permits(self, verb: Verb, items: Sequence[Any]) -> Permits:
        """What may be done with the items of a batch, as they were sent.

        Raises Forbidden where nothing may be, Problem 422 where it would take too many reviews to
        find out, and Problem 503.
        """
        self.asked = True
        doers: dict[str, list[str]] = {}
        for namespace, doer in _targets(items):
            doers.setdefault(namespace, []).append(doer)
        verdicts: dict[Target, Forbidden | None] = {}
        reviews = 0
        for namespace, names in doers.items():
            wide = len(names) > 1 and await self._allows(Need(verb=verb, namespace=namespace))
            reviews += 1 if wide else len(names)
            if reviews > _MAX_REVIEWS:
                raise _too_many()
            for name in names:
                verdicts[namespace, name] = (
                    None if wide else await self._refusal((verb,), namespace=namespace, doer=name)
                )
        refused = [each for each in verdicts.values() if each is not None]
        if refused and len(refused) == len(verdicts):
            raise refused[0]
        return Permits(verdicts=verdicts)

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


def _targets(items: Sequence[Any]) -> list[Target]:
    """Every valid namespace and doer that a batch names, once, in the order of the batch."""
    found: dict[Target, None] = {}
    for item in items:
        if isinstance(item, dict):
            namespace, doer = item.get("namespace"), item.get("doer")
            if isinstance(namespace, str) and isinstance(doer, str):
                found[namespace, doer] = None
    return [target for target in found if _valid(*target)]


def _valid(*names: str) -> bool:
    try:
        for name in names:
            _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _too_many() -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"runs: name over {_MAX_REVIEWS} namespaces and doers whose rights must be asked one by "
        "one; send fewer at once",
        field="runs",
    )
