"""What reviews told is remembered for a while: by a clock that the test turns."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from learnops.ports.access import AccessUnavailableError, Caller, Need, Verb
from learnops.server.remembering import Memory, RememberingGatekeeper

ALICE = Caller(name="alice")
INGEST = Need(verb=Verb.INGEST, namespace="agents", doer="planner")


class Turned:
    """The `Clock` port, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


class Asked:
    """A gatekeeper that counts; `answer` holds it up until it is set."""

    def __init__(self) -> None:
        self.known: dict[str, Caller] = {"good": ALICE}
        self.rights: set[Need] = {INGEST}
        self.asked: Counter[object] = Counter()
        self.answer = asyncio.Event()
        self.answer.set()
        self.away = False

    async def authenticate(self, token: str) -> Caller | None:
        self.asked[token] += 1
        await self._reach()
        return self.known.get(token)

    async def allows(self, caller: Caller, need: Need) -> bool:
        self.asked[caller, need] += 1
        await self._reach()
        return need in self.rights

    async def _reach(self) -> None:
        await self.answer.wait()
        if self.away:
            raise AccessUnavailableError("away")


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def keeper(asked: Asked, clock: Turned) -> RememberingGatekeeper:
    return RememberingGatekeeper(asked, clock=clock, ttl_seconds=60)


async def test_a_token_is_asked_about_again_after_its_time(
    keeper: RememberingGatekeeper, asked: Asked, clock: Turned
) -> None:
    assert await keeper.authenticate("good") == ALICE
    del asked.known["good"]
    clock.seconds += 59.9
    assert await keeper.authenticate("good") == ALICE
    clock.seconds += 0.1
    assert await keeper.authenticate("good") is None
    assert asked.asked["good"] == 2


async def test_a_refusal_is_asked_about_sooner(
    keeper: RememberingGatekeeper, asked: Asked, clock: Turned
) -> None:
    read = Need(verb=Verb.READ, namespace="agents")
    assert not await keeper.allows(ALICE, read)
    asked.rights.add(read)
    clock.seconds += 9.9
    assert not await keeper.allows(ALICE, read)
    clock.seconds += 0.1
    assert await keeper.allows(ALICE, read)


async def test_the_time_counts_from_the_question(
    keeper: RememberingGatekeeper, asked: Asked, clock: Turned
) -> None:
    asked.answer.clear()
    waiting = asyncio.create_task(keeper.authenticate("good"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.seconds += 50
    asked.answer.set()
    assert await waiting == ALICE
    clock.seconds += 10
    await keeper.authenticate("good")
    assert asked.asked["good"] == 2


async def test_a_burst_of_one_token_is_one_question_whoever_hangs_up(
    keeper: RememberingGatekeeper, asked: Asked
) -> None:
    asked.answer.clear()
    burst = [asyncio.create_task(keeper.authenticate("good")) for _ in range(50)]
    await asyncio.sleep(0)
    burst[0].cancel()
    asked.answer.set()
    answers = await asyncio.gather(*burst, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [ALICE] * 49
    assert asked.asked["good"] == 1


async def test_an_outage_leaves_what_is_fresh_and_is_itself_not_remembered(
    keeper: RememberingGatekeeper, asked: Asked, clock: Turned
) -> None:
    assert await keeper.authenticate("good")
    assert await keeper.allows(ALICE, INGEST)
    asked.away = True
    clock.seconds += 59
    assert await keeper.authenticate("good")
    assert await keeper.allows(ALICE, INGEST)
    clock.seconds += 1
    for question in (keeper.authenticate("good"), keeper.allows(ALICE, INGEST)):
        with pytest.raises(AccessUnavailableError):
            await question
    asked.away = False
    assert await keeper.authenticate("good")
    assert await keeper.allows(ALICE, INGEST)


async def test_rights_of_two_callers_are_two(keeper: RememberingGatekeeper, asked: Asked) -> None:
    await keeper.allows(ALICE, INGEST)
    await keeper.allows(Caller(name="alice", groups=("others",)), INGEST)
    assert sum(asked.asked.values()) == 2


async def test_no_token_is_kept(keeper: RememberingGatekeeper) -> None:
    await keeper.authenticate("good")
    await keeper.authenticate("made-up")
    kept = str(vars(keeper._callers._answers)) + str(vars(keeper._callers._refusals))
    assert "alice" in kept
    assert "good" not in kept
    assert "made-up" not in kept


async def test_the_memory_is_bounded_and_refusals_push_out_no_answers(clock: Turned) -> None:
    memory: Memory[int, str] = Memory(clock=clock, capacity=3, ttl_seconds=60)
    asked: list[int] = []

    async def ask(key: int) -> str | None:
        asked.append(key)
        return "yes" if key < 10 else None

    for key in (1, 2, 3, 1, *range(10, 30), 4):  # 2 was not used for the longest time
        await memory.get(key, lambda key=key: ask(key))
    asked.clear()
    for key in (1, 3, 4, 27, 28, 29):
        await memory.get(key, lambda key=key: ask(key))
    assert asked == []
    await memory.get(2, lambda: ask(2))
    await memory.get(11, lambda: ask(11))
    assert asked == [2, 11]


async def test_too_many_open_questions_are_not_asked(clock: Turned) -> None:
    memory: Memory[int, str] = Memory(clock=clock, capacity=3, ttl_seconds=60)
    held = asyncio.Event()

    async def ask() -> str | None:
        await held.wait()
        return "yes"

    waiting = [asyncio.create_task(memory.get(key, ask)) for key in range(256)]
    await asyncio.sleep(0)
    with pytest.raises(AccessUnavailableError, match="too many"):
        await memory.get(999, ask)
    held.set()
    assert await asyncio.gather(*waiting) == ["yes"] * 256
    assert await memory.get(999, ask) == "yes"
