"""The spools of one doer at one api: of its bundles, and of its signals."""

from pathlib import Path

from learnops.client.folder import name_of
from learnops.client.letters import DeadLetters
from learnops.client.settings import Settings
from learnops.client.spool import Spool
from learnops.client.store import Store, StoreLimits
from learnops.client.telemetry import Telemetry
from learnops.client.tickets import Pace

_PART_OF_SIGNALS = 4  # their share of `spool_bytes`, beside that of the bundles: 1 in so many


def spool_of_bundles(settings: Settings, *, telemetry: Telemetry) -> Spool | None:
    """None where there is to be none."""
    folder = _folder(settings)
    if folder is None:
        return None
    return _spool(
        folder,
        letters=folder,
        most_bytes=settings.options.spool_bytes,
        noun="bundles",
        settings=settings,
        telemetry=telemetry,
    )


def spool_of_signals(settings: Settings, *, telemetry: Telemetry) -> Spool | None:
    """Likewise. In files of its own, so that signals which wait for the bundle of their run cannot
    be in the way of that bundle."""
    folder = _folder(settings)
    if folder is None:
        return None
    return _spool(
        folder.with_name(f"{folder.name}.signals"),
        letters=folder,
        most_bytes=settings.options.spool_bytes // _PART_OF_SIGNALS,
        noun="signals",
        settings=settings,
        telemetry=telemetry,
    )


def _folder(settings: Settings) -> Path | None:
    if settings.spool is None:
        return None
    name = name_of(api=settings.api, namespace=settings.namespace, doer=settings.doer)
    return settings.spool / name


def _spool(
    folder: Path,
    *,
    letters: Path,
    most_bytes: int,
    noun: str,
    settings: Settings,
    telemetry: Telemetry,
) -> Spool:
    options = settings.options
    limits = StoreLimits(
        bytes=most_bytes,
        records=options.spool_runs,
        keep_seconds=options.spool_keep_seconds,
    )
    return Spool(
        store=Store(folder, limits=limits, telemetry=telemetry),
        letters=DeadLetters(letters),
        pace=Pace(wait_seconds=options.spool_seconds),
        telemetry=telemetry,
        noun=noun,
    )
