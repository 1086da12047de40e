"""A signal waits for the bundle of its run, wherever that is."""

from collections.abc import Collection
from typing import Any

from learnops.client.answer import Answer
from learnops.client.settings import Options, Settings
from learnops.client.signals import Remark, Signaler
from learnops.client.telemetry import Telemetry


class Passing:
    """Bundles on disk, which reach the api while the first signal is on its way there."""

    def __init__(self) -> None:
        self.on_disk = True

    def unread(self) -> bool:
        return self.on_disk

    def unsent(self, _runs: Collection[str]) -> Collection[str]:
        return ()

    def post(self, _path: str, **_given: Any) -> Answer:
        """The api's answer, which is a moment old."""
        status = 404 if self.on_disk else 201
        self.on_disk = False
        return Answer(status=status, headers={}, body=None)


def test_one_whose_bundle_was_on_disk_when_it_was_sent_is_sent_again() -> None:
    telemetry, passing = Telemetry(), Passing()
    settings = Settings.resolve(
        doer="planner",
        api="http://api",
        token=None,
        namespace="agents",
        serving=None,
        options=Options(signal_seconds=0.0),
        spool="off",
    )
    signaler = Signaler(
        settings=settings,
        transport=passing,  # type: ignore[arg-type]
        telemetry=telemetry,
        bundles=passing,
    )
    signaler.signal("r", "tests", 1.0, Remark())
    assert signaler.outbox.flush(60)
    signaler.close(0.0)
    assert telemetry.counts()["signals_accepted"] == 1
    assert "signals_dropped" not in telemetry.counts()
