"""Rights on the doers that a batch names, asked for as they come up."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, Protocol

from learnops.ports.access import Need, Verb
from learnops.server.problems import Problem

# Reviews that one batch may cause; a right on all doers of a namespace is one review.
_MAX_REVIEWS: Final = 64
Refusal = Callable[[Need], Awaitable[Problem | None]]


class Named(Protocol):
    """What a right is asked for: it names its doer."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def doer(self) -> str:
        """Its doer."""


class Permits:
    """What may be done with the items of one batch.

    `refusal` asks for one right: why it is not there, None if it is.
    """

    def __init__(self, verb: Verb, *, refusal: Refusal) -> None:
        self._verb = verb
        self._refusal = refusal
        self._wide: dict[str, bool] = {}  # namespace -> every doer of it
        self._verdicts: dict[tuple[str, str], Problem | None] = {}
        self._reviews = 0

    async def settle(self, items: Sequence[Named]) -> None:
        """Find out about all that these name; afterwards `problem` tells.

        Raises Problem 422 where that would take too many reviews, and 503 where nobody can tell.
        """
        for item in items:
            target = (item.namespace, item.doer)
            if target not in self._verdicts:
                self._verdicts[target] = await self._ask(*target)

    def problem(self, item: Named) -> Problem | None:
        """Why this one is not taken, None if it is; only after it was settled."""
        return self._verdicts[item.namespace, item.doer]

    def conclude(self) -> None:
        """Raises Forbidden where nothing could be taken, and a right was missing."""
        refused = [each for each in self._verdicts.values() if each is not None]
        if refused and len(refused) == len(self._verdicts):
            raise refused[0]

    async def _ask(self, namespace: str, doer: str) -> Problem | None:
        # The first doer of a namespace is asked about by name: there is mostly no second one.
        if namespace not in self._wide and any(it[0] == namespace for it in self._verdicts):
            self._wide[namespace] = await self._review(namespace, None) is None
        if self._wide.get(namespace):
            return None
        return await self._review(namespace, doer)

    async def _review(self, namespace: str, doer: str | None) -> Problem | None:
        self._reviews += 1
        if self._reviews > _MAX_REVIEWS:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"runs: name so many namespaces and doers that over {_MAX_REVIEWS} rights must be "
                "asked for; send fewer at once",
                field="runs",
            )
        return await self._refusal(Need(verb=self._verb, namespace=namespace, doer=doer))
