"""`learnops simulate`: an agent of known truth that works through the SDK."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "simulate",
        help="play an agent whose policies have a known loss",
        description="Start runs of a doer at a given rate and report losses drawn from a known "
        "truth, until SIGTERM or a limit. LEARNOPS_API, LEARNOPS_TOKEN and LEARNOPS_NAMESPACE say "
        "where. Prints one line of JSON per policy and one of totals at the end.",
    )
    add = parser.add_argument
    add("--doer", required=True, help="name of the Doer")
    add("--truth", required=True, type=Path, help="YAML: loss and spread per policy")
    add("--rate", type=_positive, default=10.0, help="runs per second, whatever they take (10)")
    add("--seed", type=int, default=0, help="of all that is drawn here (0)")
    add("--runs", type=int, default=None, help="stop after so many runs (never)")
    add("--seconds", type=_positive, default=None, help="stop after so many seconds (never)")
    add("--tenant", default=None, help="tenant of the runs (none)")
    add("--run-prefix", default=None, help="run ids are PREFIX-NUMBER (random ids)")
    add("--serving", default=None, help="behind a gateway: the policy that this agent serves")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate; the exit code. 2: the truth or the environment is wrong."""
    from learnops.cli.simulation import Agent, Schedule
    from learnops.cli.truth import TruthError, load_truth
    from learnops.client import Learner

    try:
        truth = load_truth(arguments.truth)
        # What nobody really ran is not worth to be delivered by a later process.
        learner = Learner(arguments.doer, serving=arguments.serving, spool="off")
    except (TruthError, ValueError) as error:
        print(f"learnops simulate: {error}", file=sys.stderr)
        return 2
    schedule = Schedule(rate=arguments.rate, runs=arguments.runs, seconds=arguments.seconds)
    agent = Agent(
        learner=learner,
        truth=truth,
        schedule=schedule,
        seed=arguments.seed,
        tenant=arguments.tenant,
        run_prefix=arguments.run_prefix,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    with learner:
        agent.work()
    for line in agent.report():
        print(json.dumps(line))
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
