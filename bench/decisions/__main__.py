"""`make bench-decisions`: the numbers that the decision engine must reach, as it reaches them."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from bench.decisions.table import ROWS, SEED, play
from bench.figure import Figure
from bench.report import Measured, machine, say, show

_EXAMPLES = """
Each figure has the standard error of its simulation behind it. Figures without a wanted value are
there to compare: what a repeated t-test and fixed thresholds make of the same logs.

examples:
  # the whole table, some minutes
  python -m bench.decisions
  # in small, about a minute
  python -m bench.decisions --fast
  # two rows with other random numbers, for a program
  python -m bench.decisions --rows 3,11 --seed 7 -o json

A bound that is missed by at most two standard errors is marked "unclear": play more canaries.

exit code: 0 no bound is missed, 1 one is, 2 wrong arguments
"""


def main() -> int:
    """Parse, play, print; the exit code."""
    arguments = _parser().parse_args()
    began = time.monotonic()
    say(f"machine: {machine()}; seed {arguments.seed}")
    found = play(
        arguments.rows,
        fast=arguments.fast,
        seed=arguments.seed,
        workers=arguments.workers,
        progress=_progress if sys.stderr.isatty() else None,
    )
    say(f"{time.monotonic() - began:.0f} s")
    if arguments.output == "json":
        _print_json(found, seed=arguments.seed)
    else:
        _print_tables(found)
    figures = [figure for row in found.values() for figure in row]
    return 1 if any(it.met is False and not it.unclear for it in figures) else 0


def _progress(done: int, of: int) -> None:
    sys.stderr.write(f"\r{done} of {of} parts played" + ("\n" if done == of else ""))
    sys.stderr.flush()


def _print_tables(found: dict[int, list[Figure]]) -> None:
    for row in ROWS:
        if row.number in found:
            show(
                Measured(
                    name=f"row {row.number}",
                    title=row.title,
                    figures=found[row.number],
                    seconds=0.0,
                )
            )


def _print_json(found: dict[int, list[Figure]], *, seed: int) -> None:
    rows = [
        {
            "row": row.number,
            "title": row.title,
            "figures": [figure.to_dict() for figure in found[row.number]],
        }
        for row in ROWS
        if row.number in found
    ]
    told = {"machine": machine(), "seed": seed, "rows": rows}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _numbers(text: str) -> Sequence[int]:
    known = {row.number for row in ROWS}
    try:
        numbers = [int(it) for it in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not set(numbers) <= known:
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers of rows, 1 to {max(known)}")
    return numbers


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.decisions",
        description="Play canaries of known truth through the shipped decision engine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--fast", action="store_true", help="few canaries: about a minute")
    parser.add_argument(
        "--rows",
        type=_numbers,
        default=[row.number for row in ROWS],
        metavar="N,N",
        help="only these rows of the table",
    )
    parser.add_argument("--seed", type=_positive, default=SEED, help=f"default {SEED}")
    parser.add_argument(
        "--workers",
        type=_positive,
        default=os.cpu_count() or 1,
        help="processes; default: all",
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
