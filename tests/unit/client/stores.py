"""The spool's files, as the tests of them write, leave and take over."""

from pathlib import Path

from learnops.client.frames import Record
from learnops.client.store import Store, StoreLimits
from learnops.client.telemetry import Telemetry

LIMITS = StoreLimits(bytes=10_000, records=100, keep_seconds=60, segment_records=2)


def store(folder: Path, **limits: float) -> Store:
    given = StoreLimits(
        **{
            "bytes": LIMITS.bytes,
            "records": LIMITS.records,
            "keep_seconds": LIMITS.keep_seconds,
            "segment_records": LIMITS.segment_records,
            **limits,  # type: ignore[arg-type]
        }
    )
    return Store(folder, limits=given, telemetry=Telemetry())


def record(name: str) -> Record:
    return Record(path="/v1/runs:batch", body=name.encode())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.seg"))


def left(folder: Path, *names: str) -> None:
    """What a killed process leaves: nothing was let go of in order."""
    killed = store(folder)
    for name in names:
        killed.write([record(name)], loaded=True)
    killed.forget()


def drain(taking: Store) -> list[str]:
    """The bodies of all that waits, settled at once."""
    found = []
    while (segment := taking.next_waiting()) is not None:
        records = taking.load(segment)
        segment.settle(len(records))
        found += [one.body.decode() for one in records]
    taking.tidy()
    return found
