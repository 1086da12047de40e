"""What an outbox does with items on which the api fails each time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from learnops.client.backoff import Backoff
from learnops.client.outbox import (
    Broken,
    Delivered,
    Delivery,
    Failing,
    Limits,
    Outbox,
    Retry,
    Split,
)
from learnops.client.telemetry import Telemetry
from testbed.waiting import wait_until


class Sent:
    """An outbox of numbers whose deliveries are judged by a function; what became of each."""

    def __init__(self, judge: "dict[int, Delivery]", outage: int = 0) -> None:
        self.judge, self.outage = judge, outage
        self.tries: list[list[int]] = []
        self.delivered: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.outbox = Outbox[int](
            name="learnops-test",
            deliver=self._deliver,
            refused=lambda item, _: pytest.fail(f"{item} counts as refused"),
            failed=lambda item, reason: self.failed.append((item, reason)),
            size=lambda _: 1,
            limits=Limits(batch=8, linger_seconds=30, items=100, bytes=100),
            telemetry=Telemetry(),
            backoff=Backoff(first_seconds=0.001, most_seconds=0.002),
        )

    def until(self, check: Callable[[], bool], *, what: str) -> None:
        """Flush, which never ends well here, until the worker has come so far."""

        def come() -> bool:
            assert not self.outbox.flush(0.05)
            return check()

        wait_until(come, what=what, deadline_seconds=30, explain=lambda: str(self.tries))

    def _deliver(self, batch: Sequence[int]) -> Delivery:
        self.tries.append(list(batch))
        if len(self.tries) <= self.outage:
            return Retry()
        for item in batch:
            if item in self.judge:
                return self.judge[item]
        self.delivered += batch
        return Delivered()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_one_item_that_always_fails_holds_up_nobody(closing: ExitStack) -> None:
    sent = Sent({5: Failing(reason="500 a bug")})
    closing.callback(sent.outbox.close, 0)
    for item in range(16):
        sent.outbox.put(item)
    assert sent.outbox.flush(60)
    assert sent.failed == [(5, "500 a bug")]
    assert sorted(sent.delivered) == [item for item in range(16) if item != 5]
    assert sent.tries.count(list(range(8))) > 1  # a failure may pass, so it is tried again first


def test_an_outage_is_waited_out_with_the_batch_whole(closing: ExitStack) -> None:
    sent = Sent({}, outage=30)
    closing.callback(sent.outbox.close, 0)
    for item in range(8):
        sent.outbox.put(item)
    assert sent.outbox.flush(60)
    assert sent.tries == [list(range(8))] * 31
    assert sent.failed == []


def test_one_item_that_breaks_the_connection_holds_up_nobody(closing: ExitStack) -> None:
    sent = Sent({5: Broken(reason="ProtocolError")})
    closing.callback(sent.outbox.close, 0)
    for item in range(16):
        sent.outbox.put(item)
    others = [item for item in range(16) if item != 5]
    sent.until(lambda: len(sent.delivered) == 15 and sent.tries.count([5]) > 20, what="others")
    assert sorted(sent.delivered) == others
    assert sent.failed == []  # all others went through once since it was alone: no proof yet
    sent.outbox.put(99)
    assert sent.outbox.flush(60)
    assert sent.delivered[-1] == 99
    assert sent.failed == [(5, "ProtocolError")]


def test_an_outage_that_breaks_off_gives_up_nothing(closing: ExitStack) -> None:
    sent = Sent({})
    sent.judge = dict.fromkeys(range(3), Broken(reason="ReadTimeoutError"))
    closing.callback(sent.outbox.close, 0)
    for item in range(3):
        sent.outbox.put(item)
    sent.until(lambda: len(sent.tries) > 40, what="many tries")
    assert sent.outbox.waiting() == 3
    sent.judge = {}
    assert sent.outbox.flush(60)
    assert (sorted(sent.delivered), sent.failed) == ([0, 1, 2], [])


@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_what_is_told_of_an_item_and_raises_costs_no_other(
    closing: ExitStack, error: type[BaseException]
) -> None:
    delivered: list[int] = []

    def deliver(batch: Sequence[int]) -> Delivery:
        if 3 in batch:
            return Split(reason="422")
        if 5 in batch:
            return Failing(reason="500")
        delivered.extend(batch)
        return Delivered()

    def hook(*_told: object) -> None:
        raise error

    telemetry = Telemetry()
    outbox = Outbox[int](
        name="learnops-test",
        deliver=deliver,
        refused=hook,
        failed=hook,
        settled=hook,
        size=lambda _: 1,
        limits=Limits(batch=8, linger_seconds=30, items=8, bytes=8),
        telemetry=telemetry,
        backoff=Backoff(first_seconds=0.001, most_seconds=0.002),
    )
    closing.callback(outbox.close, 0)
    for item in range(8):
        assert outbox.put(item)
    assert not outbox.put(8)  # full
    assert outbox.flush(60)
    assert sorted(delivered) == [0, 1, 2, 4, 6, 7]
    assert telemetry.counts()["loop_errors"] >= 2 + 2  # of 3 and 5, and that they are done with
    for item in range(8):  # there is room again for all of them
        assert outbox.put(item)


def test_an_item_that_is_put_back_counts_as_long_as_it_waits(closing: ExitStack) -> None:
    sent = Sent({5: Broken(reason="ProtocolError")})
    closing.callback(sent.outbox.close, 0)
    for item in range(8):
        sent.outbox.put(item)
    sent.until(lambda: sent.outbox.items() == [5], what="all others")
    assert not sent.outbox.room(1, 100)
    assert sent.outbox.room(1, 99)
