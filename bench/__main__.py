"""`make bench`: print the design's numbers as measured on this machine.

Exit codes: 0 everything was measured (whether a target was met or not), 1 a benchmark failed,
2 the arguments are wrong or the testbed does not start.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from bench.catalog import BENCHMARKS, Benchmark
from bench.report import Measured, machine, say, show, to_json
from bench.rig import Rig
from testbed.errors import TestbedError

_EXAMPLES = """
A figure that misses its wanted value is marked MISSED; nothing fails for it. The load generators
share the machine with what they measure.

examples:
  # everything, under ten minutes
  python -m bench
  # the names
  python -m bench --list
  # two of them, for a program
  python -m bench --only safety --only batch -o json
"""


def main() -> int:
    """Parse, measure, print; the exit code."""
    arguments = _parser().parse_args()
    if arguments.list:
        for one in BENCHMARKS:
            sys.stdout.write(f"{one.name:<12} {one.title}\n")
        return 0
    wanted = set(arguments.only or [one.name for one in BENCHMARKS])
    chosen = [one for one in BENCHMARKS if one.name in wanted]
    # Ctrl-C and SIGTERM alike unwind the rig below, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        measured = _measure(chosen, as_json=arguments.output == "json")
    except TestbedError as error:
        say(f"bench: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if any(one.failure for one in measured) else 0


def _measure(chosen: Sequence[Benchmark], *, as_json: bool) -> list[Measured]:
    measured: list[Measured] = []
    say(f"machine: {machine()}")
    with Rig() as rig:
        for one in chosen:
            say(f"== {one.name}: {one.title}")
            measured.append(_one(one, rig))
            say(f"   {measured[-1].seconds:.0f} s")
            if not as_json:
                show(measured[-1])
    if as_json:
        sys.stdout.write(f"{to_json(measured)}\n")
    return measured


def _one(benchmark: Benchmark, rig: Rig) -> Measured:
    began = time.monotonic()
    figures, failure = [], None
    try:
        figures = benchmark.run(rig)
    except Exception as error:  # noqa: BLE001 - told in the table and by the exit code; others go on
        failure = f"{type(error).__name__}: {error}"
    return Measured(
        name=benchmark.name,
        title=benchmark.title,
        figures=figures,
        seconds=time.monotonic() - began,
        failure=failure,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the design's numbers with the shipped code on real servers.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[one.name for one in BENCHMARKS],
        help="only this benchmark; may be given again (--list tells the names)",
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
