"""Everything that a doer ever served, in order: each revision of its traffic."""

from itertools import pairwise
from types import TracebackType

from testbed.kubeapi import Json
from testbed.waiting import wait_until
from testbed.watcher import Watcher
from tests.integration.objects import Objects


class Served:
    """A context manager that watches one doer. What it saw is checked by `wait`."""

    def __init__(self, objects: Objects, *, doer: str = "planner") -> None:
        self._doer = doer
        self._seen: list[Json] = []
        self._watcher = Watcher(objects.api, objects.path("doers"), self._on, name="served")

    def wait(self, expected: list[tuple[str, ...]]) -> None:
        """Wait until exactly these policies were served one after the other, by the laws."""
        wait_until(
            lambda: self.check() == expected,
            what=f"the doer to have served {expected}",
            deadline_seconds=30,
            explain=lambda: str(self.check()),
        )

    def check(self) -> list[tuple[str, ...]]:
        """The laws of traffic over all that was seen; the policies served, without repetition."""
        for traffic in self._seen:
            assert sum(share["percent"] for share in traffic["shares"]) == 100, traffic
            served = {share["policy"] for share in traffic["shares"]}
            assert traffic["active"] in served, traffic
            assert _shared(traffic) == (len(served) == 2), traffic
        for before, after in pairwise(self._seen):
            assert after["revision"] >= before["revision"], (before, after)
            if _content(before) != _content(after):
                assert after["revision"] > before["revision"], (before, after)
        policies = [tuple(share["policy"] for share in one["shares"]) for one in self._seen]
        return [one for place, one in enumerate(policies) if policies[place - 1 : place] != [one]]

    def _on(self, _kind: str, doer: Json) -> None:
        traffic = doer.get("status", {}).get("traffic")
        if doer["metadata"]["name"] == self._doer and traffic is not None:
            self._seen.append(traffic)

    def __enter__(self) -> "Served":
        self._watcher.start()
        self._watcher.wait_listed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watcher.stop()


def _shared(traffic: Json) -> bool:
    """Whether a canary gives its candidate a share: one in its shadow stage does not."""
    return traffic.get("canary") is not None and traffic.get("shadow") is None


def _content(traffic: Json) -> Json:
    return {name: value for name, value in traffic.items() if name != "routedRevision"}
