"""`learnops plan`: how many runs a canary will take, before it is started."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learnops.api.canary import CanaryDeployment

_EFFECTS = (-0.10, -0.05, -0.03, -0.02, 0.0, 0.05, 0.10, 0.20)
_COUNTS = ("runs", "candidateRuns")
_EXAMPLES = """
Plays canaries of each assumed difference through the engine and the rules of the operator, looked
at every 50 runs. A difference below 0 is a better candidate. How much the losses of your runs
spread says the run log; 0.15 is common for a CRL of several terms, 0.4 for one that is nearly
always 0 or 1. Guardrails are left out: they make a promotion later, and a roll-back of a broken
term sooner.

examples:
  # the defaults: steps 5, 10, 25, 50 % on evidence
  learnops plan
  # half of the traffic at once, 500 runs a day, losses that spread more
  learnops plan --steps 50 --runs-per-day 500 --deviation 0.3
  # the levels, margins and steps of a canary that you are about to apply, for a program
  learnops plan --canary canary.yaml -o json

exit code: 0, or 2 where an argument or the canary is wrong
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "plan",
        help="how many runs a canary will take",
        description="How many runs until a canary is decided, for differences that are assumed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--canary", type=Path, metavar="FILE", help="YAML: a CanaryDeployment (the defaults)")
    add("--steps", type=_steps, help="shares in percent, e.g. 5,10,25,50 (those of the canary)")
    add("--difference", type=_differences, default=_EFFECTS, help="e.g. --difference=-0.05,0.1")
    add("--mean", type=float, default=0.30, help="control's mean loss (0.30)")
    add("--deviation", type=float, default=0.15, help="standard deviation of the losses (0.15)")
    add("--runs-per-day", type=_positive, help="the doer's volume: tells the time as well")
    add("--attempt", type=_positive, default=1, help="which try of this candidate it is (1)")
    add("--canaries", type=_positive, default=100, help="played for each difference (100)")
    add("--seed", type=_positive, default=1, help="of all that is drawn (1)")
    add("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Plan; the exit code."""
    from learnops.cli.inputs import InputError
    from learnops.domain.evidence.errors import EvidenceError

    try:
        rows = _rows(arguments)
    except InputError as error:
        print(f"learnops plan: {error}", file=sys.stderr)
        return 2
    except EvidenceError as error:
        print(f"learnops plan: {error.detail}", file=sys.stderr)
        return 2
    print(json.dumps(rows, indent=2) if arguments.output == "json" else _table(rows))
    return 0


def _canary(path: Path) -> "CanaryDeployment":
    """Raises EvaluationError where its runs cannot be foretold by playing one candidate."""
    from learnops.api.rollout import Method
    from learnops.cli.evaluation import manifest
    from learnops.cli.evaluation.errors import EvaluationError

    canary = manifest.load(path)
    if canary.spec.analysis.method is Method.FIXED_HORIZON:
        text = "must be Anytime: FixedHorizon takes maxRuns runs, whatever they say"
        raise EvaluationError(f"{path}: spec.analysis.method: {text}")
    if len(canary.spec.candidate_refs) > 1:
        text = "must be one candidate: shares of several are not played yet"
        raise EvaluationError(f"{path}: spec.candidateRefs: {text}")
    return canary


def _rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from learnops.app.evidence.reading import plan_of
    from learnops.cli.evaluation import manifest
    from learnops.domain.evidence import forecast as engine
    from learnops.domain.evidence.ruling import Limits
    from learnops.domain.evidence.types import TestPlan

    canary = _canary(arguments.canary) if arguments.canary else manifest.defaults()
    if arguments.steps:
        canary = manifest.with_steps(canary, arguments.steps)
    strategy = canary.spec.strategy.canary
    plan: TestPlan = engine.without_guardrails(plan_of(canary, attempt=arguments.attempt))
    limits = Limits.of(canary.spec.analysis)
    steps = tuple(float(step) for step in strategy.steps)
    per_day = arguments.runs_per_day
    a_step = int(strategy.step_seconds * per_day / 86_400) if per_day else 0
    found = []
    for difference in arguments.difference:
        truth = engine.Truth(
            mean=arguments.mean, deviation=arguments.deviation, difference=difference
        )
        told = engine.forecast(
            plan,
            limits,
            truth,
            engine.Ramp(steps=steps, runs_a_step=a_step),
            canaries=arguments.canaries,
            seed=arguments.seed,
        )
        found.append(_told(told, per_day=per_day))
    return found


def _told(told: Any, *, per_day: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "difference": told.truth.difference,
        "promoted": told.promoted,
        "rolledBack": told.rolled_back,
        "futile": told.futile,
        "undecided": told.undecided,
        "runs": {"median": told.runs[0], "p90": told.runs[1]},
        "candidateRuns": {"median": told.candidate_runs[0], "p90": told.candidate_runs[1]},
    }
    if per_day:
        row["days"] = {"median": told.runs[0] / per_day, "p90": told.runs[1] / per_day}
    return row


def _table(rows: Sequence[dict[str, Any]]) -> str:
    timed = "days" in rows[0]
    headings = ["DIFFERENCE", "PROMOTED", "ROLLED BACK", "FUTILE", "UNDECIDED"]
    headings += ["RUNS (P90)", "CANDIDATE RUNS (P90)", *(["DAYS (P90)"] if timed else [])]
    lines = [headings, *(_cells(row, timed=timed) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    return "\n".join(
        "   ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _cells(row: dict[str, Any], *, timed: bool) -> list[str]:
    cells = [f"{row['difference']:+.2f}"]
    cells += [f"{row[name]:.0%}" for name in ("promoted", "rolledBack", "futile", "undecided")]
    cells += [f"{row[it]['median']:,.0f} ({row[it]['p90']:,.0f})" for it in _COUNTS]
    if timed:
        cells.append(f"{row['days']['median']:.1f} ({row['days']['p90']:.1f})")
    return cells


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def _steps(text: str) -> tuple[int, ...]:
    return tuple(_positive(it) for it in text.split(","))


def _differences(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(it) for it in text.split(","))
    except ValueError:
        found = ()
    if not found or len(found) > 50 or not all(-1 < it < 1 for it in found):
        raise argparse.ArgumentTypeError(f"{text} are not differences between -1 and 1")
    return found
