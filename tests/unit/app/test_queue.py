"""The laws of the work queue."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.app.queue import WorkQueue
from learnops.domain.backoff import Delays
from tests.unit.app.fakes import FakeClock


def make(clock: FakeClock, *, chance: float = 0.0) -> WorkQueue[str]:
    return WorkQueue(monotonic=clock.monotonic, chance=lambda: chance)


def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue = make(FakeClock())
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", None]


def test_a_key_added_while_active_is_handed_out_once_more_after_done() -> None:
    queue = make(FakeClock())
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.take() is None, "no two workers on one key"
    queue.done("a")
    assert queue.take() == "a"
    queue.done("a")
    assert queue.take() is None


def test_the_earliest_wish_counts() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add_after("a", seconds=10)
    queue.add_after("a", seconds=3)
    queue.add_after("a", seconds=7)
    assert queue.seconds_until_due() == 3
    clock.advance(3)
    assert queue.take() == "a"
    queue.done("a")
    clock.advance(20)
    assert queue.take() is None, "the later wishes were superseded"


def test_an_event_takes_the_place_of_a_later_wish() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add_after("a", seconds=10)
    queue.add("a")
    assert queue.take() == "a"
    queue.done("a")
    clock.advance(11)
    assert queue.take() is None


def test_a_wish_that_is_due_while_the_key_is_active_is_kept() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add("a")
    queue.take()
    queue.add_after("a", seconds=1)
    clock.advance(2)
    assert queue.take() is None
    queue.done("a")
    assert queue.take() == "a"


def test_failures_back_off_to_a_cap_and_success_forgets_them() -> None:
    clock = FakeClock()
    queue = WorkQueue[str](
        monotonic=clock.monotonic,
        chance=lambda: 0.0,
        delays=Delays(first_seconds=1.0, most_seconds=5.0),
    )
    assert [queue.retry("a") for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    queue.forget("a")
    assert queue.retry("a") == 1.0


def test_a_key_that_a_server_sent_away_does_not_come_back_before_even_with_news() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add("a")
    queue.take()
    assert queue.retry("a", not_before=5.0) == 5.0
    queue.add("a")
    queue.done("a")
    queue.add("a")
    clock.advance(4.9)
    assert queue.take() is None
    queue.add("a")
    clock.advance(0.1)
    assert queue.take() == "a"
    queue.done("a")
    queue.add("a")
    assert queue.take() == "a", "the wait is over"


def test_a_wish_that_falls_into_the_wait_a_server_asked_for_is_kept() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add("a")
    queue.take()
    queue.add_after("a", seconds=1.0)
    queue.retry("a", not_before=5.0)
    queue.done("a")
    clock.advance(1.0)
    assert queue.take() is None
    assert queue.seconds_until_due() == 4.0
    clock.advance(4.0)
    assert queue.take() == "a"


def test_news_after_the_wait_a_server_asked_for_end_a_longer_back_off() -> None:
    clock = FakeClock()
    queue = WorkQueue[str](
        monotonic=clock.monotonic,
        chance=lambda: 0.0,
        delays=Delays(first_seconds=60.0, most_seconds=60.0),
    )
    assert queue.retry("a", not_before=5.0) == 60.0
    queue.add("a")
    assert queue.seconds_until_due() == 5.0


def test_a_server_that_asks_for_no_wait_does_not_shorten_the_back_off() -> None:
    queue = make(FakeClock())
    assert [queue.retry("a", not_before=0.0) for _ in range(2)] == [0.1, 0.2]


def test_the_oldest_key_is_the_one_ready_or_active_for_longest() -> None:
    clock = FakeClock()
    queue = make(clock)
    assert queue.oldest_seconds() == 0.0
    queue.add("stuck")
    queue.take()
    clock.advance(30)
    queue.add("new")
    queue.add_after("later", seconds=1000)
    clock.advance(40)
    assert queue.oldest_seconds() == 70.0
    assert queue.depth() == 2
    queue.done("stuck")
    assert queue.oldest_seconds() == 40.0


def test_waiting_for_a_back_off_does_not_age_a_key() -> None:
    clock = FakeClock()
    queue = make(clock)
    queue.add_after("a", seconds=300)
    clock.advance(299)
    assert queue.oldest_seconds() == 0.0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "after", "take", "done", "retry", "sent away", "advance"]),
        st.sampled_from("abc"),
        st.floats(0.01, 5.0),
    ),
    max_size=60,
)


class Ledger:
    """What is owed to whoever added keys, kept beside a queue."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = make(self.clock)
        self.active: list[str] = []
        self.owed: Counter[str] = Counter()  # wishes since the key was last taken

    def ask(self, step: str, key: str, seconds: float) -> None:
        if step == "add":
            self.queue.add(key)
        elif step == "after":
            self.queue.add_after(key, seconds=seconds)
        else:
            self.queue.retry(key, not_before=seconds if step == "sent away" else 0.0)
        self.owed[key] += 1

    def take(self) -> str | None:
        taken = self.queue.take()
        if taken is not None:
            assert taken not in self.active, "no two workers on one key"
            assert self.owed[taken] > 0, "handed out only what was asked for"
            self.active.append(taken)
            self.owed[taken] = 0
        return taken

    def done(self, key: str) -> None:
        if key in self.active:
            self.active.remove(key)
            self.queue.done(key)


@given(STEPS)
def test_no_key_is_lost_and_none_is_active_twice(steps: list[tuple[str, str, float]]) -> None:
    ledger = Ledger()
    for step, key, seconds in steps:
        if step == "take":
            ledger.take()
        elif step == "done":
            ledger.done(key)
        elif step == "advance":
            ledger.clock.advance(seconds)
        else:
            ledger.ask(step, key, seconds)
    for key in list(ledger.active):
        ledger.done(key)
    ledger.clock.advance(1000)
    expected = {key for key, count in ledger.owed.items() if count}
    rest = set()
    while (left := ledger.take()) is not None:
        rest.add(left)
    assert rest == expected


def test_done_of_a_key_that_is_not_active_is_a_bug() -> None:
    with pytest.raises(KeyError):
        make(FakeClock()).done("a")
