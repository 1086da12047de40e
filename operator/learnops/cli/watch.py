"""`learnops watch`: a doer's rollout as it goes, until it has ended."""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from learnops.cli.cluster import states
from learnops.cli.cluster.session import (
    AwayError,
    Cluster,
    CommandError,
    Json,
    add_flags,
    object_name,
    run_with,
)

_CODES = {"Promoted": 0, "RolledBack": 3}
_NO_VERDICT = 4
_TIMED_OUT = 5
_NOTHING_LIVE = 6
_MOST_FAILURES = 30
_EXAMPLES = """
A line whenever something has changed; it needs no terminal. It follows the rollout that is live, or
that a changed policyRef is about to start, to its end; where the one that policyRef asked for has
ended already, it tells how.

examples:
  # until the rollout of planner has ended
  kubectl learnops watch planner -n agents
  # in a pipeline: fail unless the candidate was promoted within two hours
  kubectl learnops watch planner --timeout 7200
  # one rollout by its name, also where it has ended; a line of JSON for each change
  kubectl learnops watch planner --canary planner-v2-8c1f02ab -o json

exit code: 0 promoted; 3 rolled back: the candidate is worse, or futile; 4 it ended without a
verdict (Inconclusive, Aborted, Superseded, Error); 5 still going at --timeout; 6 no rollout is
live, and policyRef asked for none; 1 the API server refuses or is away; 2 a wrong argument
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "watch",
        help="a doer's rollout until it has ended",
        description="Follow a doer's rollout; the exit code tells how it ended.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("doer", metavar="DOER", type=object_name, help="name of the Doer")
    add("--canary", type=object_name, help="this CanaryDeployment (the one that is live)")
    add("--interval", type=_seconds, default=2.0, help="seconds between two looks (2)")
    add("--timeout", type=_seconds, help="seconds to wait at most (until it has ended)")
    add_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Follow; the exit code."""

    async def work(cluster: Cluster) -> int:
        following = Following(
            cluster=cluster,
            doer=arguments.doer,
            canary=arguments.canary,
            as_json=arguments.output == "json",
        )
        return await _follow(
            following, interval=arguments.interval, timeout_seconds=arguments.timeout
        )

    return run_with(arguments, work, command="watch")


@dataclass(kw_only=True)
class Following:
    """One rollout that is looked at again and again, chosen at the first look that has one."""

    cluster: Cluster
    doer: str
    canary: str | None
    as_json: bool
    _said: str = ""

    async def look(self) -> int | None:
        """Print what is new; the exit code once it has ended."""
        doer = await self.cluster.get("Doer", self.doer)
        canary = await self._followed(doer)
        if canary is not None and states.stage_of(canary) in states.ENDS:
            # It may have ended after the first read, and what is active is told in the last line.
            doer = await self.cluster.get("Doer", self.doer)
        self._say(states.state(doer, canary), doer)
        if canary is None:
            return None if states.is_about_to_start(doer) else _NOTHING_LIVE
        stage = states.stage_of(canary)
        over = stage in states.ENDS and not states.is_ordered(canary)
        return _CODES.get(stage, _NO_VERDICT) if over else None

    async def _followed(self, doer: Json) -> Json | None:
        if self.canary is not None:
            found = await self.cluster.get("CanaryDeployment", self.canary)
            owner = found["spec"]["doerRef"]["name"]
            if owner != self.doer:
                raise CommandError(f"canary {self.canary} is one of doer {owner}, not {self.doer}")
            return found
        canaries = await self.cluster.items("CanaryDeployment")
        live = states.live_of(self.doer, canaries)
        chosen = live[0] if live else states.asked_for(doer, canaries)
        if chosen is not None:
            self.canary = states.name_of(chosen)
        return chosen

    def _say(self, told: Json, doer: Json) -> None:
        line = json.dumps(told) if self.as_json else _line(told, doer)
        if line != self._said:
            self._said = line
            clock = "" if self.as_json else f"{time.strftime('%H:%M:%S')}  "
            print(f"{clock}{line}", flush=True)


async def _follow(following: Following, *, interval: float, timeout_seconds: float | None) -> int:
    end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    failures = 0
    while True:
        try:
            code = await following.look()
        except AwayError as error:
            # A rollout takes days, and an API server is upgraded meanwhile.
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            print(f"learnops watch: {error}; asking again", file=sys.stderr)
        else:
            failures = 0
            if code is not None:
                return code
        if end is not None and time.monotonic() + interval >= end:
            print("learnops watch: --timeout is over, the rollout goes on", file=sys.stderr)
            return _TIMED_OUT
        await asyncio.sleep(interval)


def _line(told: Json, doer: Json) -> str:
    if told["rollout"] is None:
        if states.is_about_to_start(doer):
            wanted = doer["spec"]["policyRef"]["name"]
            why = f": {told['waitingFor']}" if told["waitingFor"] else ""
            return f"policyRef is {wanted}, which the operator has not acted on yet{why}"
        return f"no rollout is live: {told['active'] or 'nothing'} is active"
    candidates = ", ".join(
        f"{it['name']} {it['percent']} %{_counted(it)}" for it in told["candidates"]
    )
    parts = [f"{told['rollout']}  {told['stage']}", candidates]
    if told["stage"] == "Promoted":
        parts = [parts[0], f"{told['active'] or states.names(told)} is active"]
    parts += [f"verdict {told['verdict']}"] if told["verdict"] else []
    parts += [f"waiting for {told['waitingFor']}"] if told["waitingFor"] else []
    return "; ".join(parts)


def _counted(candidate: Json) -> str:
    if candidate["runs"] is None:
        return ""
    needed = candidate["runsStillNeeded"]
    more = "" if needed is None else f", about {needed} more needed"
    return f" ({candidate['runs']} runs, control {candidate['controlRuns']}{more})"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 31_536_000:
        raise argparse.ArgumentTypeError("must be 0.1 to 31536000 seconds")
    return value
