"""A plan is carried out in order, by who holds the Lease, and ends at the first failure."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from learnops.app.act import Actor, End
from learnops.app.cache import ObjectCache
from learnops.domain.plan import EmitEvent, Plan
from learnops.ports.kube import ConflictError, Kube, KubeUnavailableError
from learnops.ports.runlog import RunLog
from learnops.ports.traffic import Route
from tests.unit.app.fakes import FakeClock
from tests.unit.app.test_guardrail_series import snapshot


@dataclass
class Told:
    """What the actor asks the API server for; `fails` is raised at the second request."""

    fails: Exception | None = None
    done: list[str] = field(default_factory=list)

    async def emit(self, *, namespace: str, event: EmitEvent) -> None:
        assert namespace == "agents"
        if self.fails is not None and self.done:
            raise self.fails
        self.done.append(event.reason)


def actor(told: Told, **changes: Any) -> Actor:
    nobody = cast(Any, None)  # no action of these plans asks them
    return Actor(
        kube=cast(Kube, told),
        runlog=cast(RunLog, nobody),
        route=cast(Route, nobody),
        cache=ObjectCache(),
        clock=FakeClock(),
        **changes,
    )


def plan(*reasons: str) -> Plan:
    events = [
        EmitEvent(kind="Doer", name="planner", uid="d-uid", type="Normal", reason=it, note="")
        for it in reasons
    ]
    return Plan(actions=tuple(events))


async def test_actions_are_done_in_their_order() -> None:
    told = Told()
    acted = await actor(told).act(snapshot(), plan("First", "Second"), refusal=None)
    assert (acted.end, told.done) == (End.DONE, ["First", "Second"])


async def test_after_the_lease_is_lost_nothing_more_is_done() -> None:
    """Lost between two actions: what another operator plans must not be mixed with this."""
    told = Told()
    mine = actor(told, may_act=lambda: not told.done)
    acted = await mine.act(snapshot(), plan("First", "Second"), refusal=None)
    assert (acted.end, told.done) == (End.NOT_ACTIVE, ["First"])


async def test_without_the_lease_nothing_is_done() -> None:
    told = Told()
    acted = await actor(told, may_act=lambda: False).act(snapshot(), plan("First"), refusal=None)
    assert (acted.end, told.done) == (End.NOT_ACTIVE, [])


@pytest.mark.parametrize(
    ("fails", "end"),
    [
        (ConflictError("changed meanwhile"), End.CONFLICT),
        (KubeUnavailableError("away", retry_after=3.0), End.UNAVAILABLE),
    ],
    ids=["conflict", "away"],
)
async def test_the_first_failure_ends_the_plan(fails: Exception, end: End) -> None:
    told = Told(fails=fails)
    acted = await actor(told).act(snapshot(), plan("First", "Second", "Third"), refusal=None)
    assert (acted.end, told.done) == (end, ["First"])
    assert acted.message == str(fails)
    assert acted.retry_after == (3.0 if end is End.UNAVAILABLE else None)
