"""`learnops db retention`: let go of what is older than it is to be kept."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from learnops.adapters.postgres.expiries import EXPIRIES
from learnops.cli.database import opened, report
from learnops.cli.environment import database_url

if TYPE_CHECKING:
    from learnops.adapters.postgres.erasure import Erased
    from learnops.adapters.postgres.retention import Expired

VARIABLE: Final = "LEARNOPS_RETENTION"
LEAST_DAYS: Final = {it.table: it.least_days for it in EXPIRIES}
_MOST_DAYS: Final = 36_500
_PROGRESS_ROWS: Final = 100_000

_EPILOG = f"""\
tables: {" ".join(LEAST_DAYS)}

What is not named is kept for ever. "runs" are runs with their losses; "learning_bundles" is what
agents reported of them, which may go earlier. "signals" are those of runs that never reported, kept
as long as "runs" where only these are named.
"deployment_routings" and "shadow_pairs" go that many days after their rollout ended. Runs of a live
rollout are never touched. Days that are over are rolled up first, and erasures are followed.

example: learnops db retention --keep runs=365d --keep learning_bundles=30d --dry-run
"""


class RetentionError(ValueError):
    """A setting that cannot be; the message says what can."""


def add_parser(commands: Any) -> None:
    """Add `db retention`."""
    parser = commands.add_parser(
        "retention",
        help="let go of what is older than it is to be kept",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--keep",
        action="append",
        metavar="TABLE=DAYSd",
        default=[],
        help=f"may be given again; ${VARIABLE} has several by comma, an option wins over it",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Expire; the exit code. 2: the arguments or the environment are wrong."""
    url = database_url(command="db")
    if url is None:
        return 2
    try:
        keep = told_keep_days(arguments.keep)
    except RetentionError as error:
        print(f"learnops db retention: {error}", file=sys.stderr)
        return 2
    return report(lambda: asyncio.run(_retain(url, keep, arguments)))


def told_keep_days(options: list[str]) -> dict[str, int]:
    """Days by table from the environment and from options, which win. Raises RetentionError."""
    told = [*os.environ.get(VARIABLE, "").split(","), *options]
    return keep_days([it for it in told if it.strip()])


def keep_days(settings: list[str]) -> dict[str, int]:
    """Days by table from "TABLE=DAYSd" each; of two for one table the last holds.

    A run that never reported is kept in its signals for as long as one that did, unless told.

    Raises RetentionError.
    """
    days = dict(_setting(it.strip()) for it in settings)
    bundles, runs = days.get("learning_bundles", 0), days.get("runs", _MOST_DAYS)
    if bundles > runs:
        raise RetentionError(
            f"learning_bundles={bundles}d must not be more than runs={runs}d: "
            "a bundle goes with its run"
        )
    if "runs" in days:
        days.setdefault("signals", days["runs"])
    return days


def _setting(text: str) -> tuple[str, int]:
    table, _, days = text.partition("=")
    if table not in LEAST_DAYS:
        raise RetentionError(f"{text!r}: the table must be one of {', '.join(LEAST_DAYS)}")
    number = days.removesuffix("d")
    if not (days.endswith("d") and number.isascii() and number.isdigit() and len(number) <= 6):
        raise RetentionError(f"{text!r}: must be a number of days, such as {table}=30d")
    if not LEAST_DAYS[table] <= int(number) <= _MOST_DAYS:
        raise RetentionError(f"{text!r}: must be {LEAST_DAYS[table]}d to {_MOST_DAYS}d")
    return table, int(number)


async def _retain(url: str, keep: Mapping[str, int], arguments: argparse.Namespace) -> int:
    from learnops.adapters.postgres.erasure import follow_erasures
    from learnops.adapters.postgres.retention import expire

    progress = _Progress()
    async with opened(url) as pool:
        expired = await expire(pool, keep_days=keep, dry_run=arguments.dry_run, told=progress.told)
        erased = [] if arguments.dry_run else await follow_erasures(pool)
    if arguments.output == "json":
        print(json.dumps(_document(expired, erased, dry_run=arguments.dry_run)))
    else:
        _tell(expired, erased, dry_run=arguments.dry_run)
    return 0


class _Progress:
    """A line on standard error for each hundred thousand rows."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def told(self, table: str, rows: int) -> None:
        before = self._rows.get(table, 0)
        after = self._rows[table] = before + rows
        if before // _PROGRESS_ROWS != after // _PROGRESS_ROWS:
            print(f"{table}: {after:,} so far", file=sys.stderr)


def _document(
    expired: "list[Expired]", erased: "list[Erased]", *, dry_run: bool
) -> dict[str, object]:
    return {
        "dryRun": dry_run,
        "tables": [
            {
                "table": it.table,
                "keepDays": it.days,
                "before": it.before.isoformat(),
                "rows": it.rows,
                "held": it.held,
            }
            for it in expired
        ],
        "erasures": [
            {
                "id": str(it.erasure),
                "namespace": it.namespace,
                "runs": it.runs,
                "units": it.units,
                "waiting": it.waiting,
            }
            for it in erased
        ],
    }


def _tell(expired: "list[Expired]", erased: "list[Erased]", *, dry_run: bool) -> None:
    verb = "would go" if dry_run else "went"
    for it in expired:
        held = f", {it.held:,} as old are held" if it.held else ""
        print(f"{it.table}: {it.rows:,} from before {it.before:%Y-%m-%d %H:%M}Z {verb}{held}")
    if not expired:
        print("nothing is to expire: name tables with --keep")
    late = sum(it.runs for it in erased)
    if late:
        print(f"{late:,} late runs of erased tenants were erased")
