"""`learnops run`: one run of an agent that is not Python."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learnops.cli.child import Command, Signals
    from learnops.client import Learner, Options

_NO_POLICY = 125  # as env(1) and timeout(1): the wrapper failed, and the command was not started
_SIGNALLED = 128
_MOST_REGISTRATION_SECONDS = 60.0  # as the SDK takes it
_DISK_SECONDS = 10.0  # a report that is not on disk ends with this process
_EXAMPLES = """
CMD gets the run in its environment:

  LEARNOPS_RUN_ID, LEARNOPS_ARM   the run, and whether it got control or the candidate
  LEARNOPS_POLICY, LEARNOPS_MODEL name of the policy, and its model where it has one
  LEARNOPS_POLICY_FILE            the policy's content, JSON
  LEARNOPS_BUNDLE_FILE            where CMD may write what it measured, JSON: metrics, gates, costs,
                                  qav, artifacts, budget, signals, as in docs/reference/http-api.md

LEARNOPS_TOKEN and LEARNOPS_TOKEN_FILE are not handed on. Standard input, output and error are CMD's
own; SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are forwarded. The duration is measured.
Where CMD fails (an exit code other than 0, or a signal), the gate `completed` is not passed and
gatePassRate is 0.

examples:
  # the api and the namespace from LEARNOPS_API and LEARNOPS_NAMESPACE
  learnops run --doer planner --tenant acme -- node agent.js "plan a bridge"
  # where the api was never reached, the policy of this manifest (YAML or JSON)
  learnops run --doer planner --fallback planner-v1.yaml -- ./agent
  # a shell script that tells what it measured
  learnops run --doer planner -- sh -c 'jq -r .prompts.system "$LEARNOPS_POLICY_FILE" | ./agent &&
    echo "{\\"metrics\\": {\\"grounding\\": 0.93}}" > "$LEARNOPS_BUNDLE_FILE"'

exit code: that of CMD, 128 + n where signal n ended it; 2: an argument is wrong; 125: no policy is
known, and no --fallback was given; 126, 127: CMD cannot be started, is not found
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "run",
        help="run a command with a doer's policy and report how it went",
        description="Route a run, give CMD its policy, and report the run when CMD has ended.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="learnops run --doer NAME [options] -- CMD [ARG ...]",
    )
    add = parser.add_argument
    add("--doer", required=True, metavar="NAME", help="name of the Doer object")
    add("--tenant", help="for whom the run is")
    add("--session", help="runs of one session keep one arm")
    add("--run-id", help="the run's own id (a random one)")
    add("--api", metavar="URL", help="base URL of the api (LEARNOPS_API)")
    add("-n", "--namespace", help="where the Doer lives (LEARNOPS_NAMESPACE)")
    add("--serving", metavar="POLICY", help="behind a gateway, what this process serves")
    add("--fallback", type=Path, metavar="FILE", help="a Policy, for when the api was not reached")
    add(
        "--wait-seconds",
        type=_seconds,
        default=5.0,
        help="for the api's policy and for the registration, before CMD starts (5)",
    )
    add("--report-seconds", type=_seconds, default=5.0, help="for the report, after its end (5)")
    add("command", nargs="+", metavar="CMD", help="the command and its arguments, after --")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from learnops.cli.child import Command, Signals, UnstartableError
    from learnops.cli.told import ToldError, fallback_policy
    from learnops.client import Learner

    _log_to_stderr()
    try:
        command = Command.find(arguments.command)
        learner = Learner(
            arguments.doer,
            api=arguments.api,
            namespace=arguments.namespace,
            serving=arguments.serving,
            default_policy=arguments.fallback and fallback_policy(arguments.fallback),
            options=_bounds(arguments),
        )
    except UnstartableError as error:
        return _refuse(str(error), error.code)
    except (ToldError, ValueError) as error:
        return _refuse(str(error), 2)
    with Signals() as signals, learner:
        return _run(arguments, command, learner, signals)


def _bounds(arguments: argparse.Namespace) -> "Options":
    """Those of a process of one run: it takes longer to start than an agent waits for its runs,
    and what it has not written nobody delivers."""
    from learnops.client import Options

    least = Options().registration_seconds
    return Options(
        first_snapshot_seconds=arguments.wait_seconds,
        registration_seconds=min(max(arguments.wait_seconds, least), _MOST_REGISTRATION_SECONDS),
        close_seconds=arguments.report_seconds,
        spool_seconds=_DISK_SECONDS,
    )


def _run(
    arguments: argparse.Namespace, command: "Command", learner: "Learner", signals: "Signals"
) -> int:
    from learnops.cli.child import Files, UnstartableError
    from learnops.cli.told import outcome
    from learnops.client import Options, Run
    from learnops.client.waiting import in_slices, in_thread

    begun = in_slices(
        learner.starting(
            tenant=arguments.tenant, run_id=arguments.run_id, session=arguments.session
        ),
        over=lambda: signals.caught is not None,
        until=time.monotonic() + arguments.wait_seconds,
        least=Options().registration_seconds,
    )
    if begun is None or signals.caught is not None:
        if begun is not None:
            learner.withdraw(Run(begun))
        return _SIGNALLED + (signals.caught or 0)
    run = Run(begun)
    if not run.policy.name:
        learner.withdraw(run)
        return _refuse(
            f"no policy of doer {arguments.doer} is known after {arguments.wait_seconds:g} s and "
            "CMD was not started; give --fallback FILE to run with a policy of your own then",
            _NO_POLICY,
        )
    try:
        with Files(run) as files:
            ended = command.run(files.environment, signals)
            told, problem = outcome(files.bundle, ended)
    except UnstartableError as error:
        learner.withdraw(run)
        return _refuse(str(error), error.code)
    if problem is not None:
        _complain(f"LEARNOPS_BUNDLE_FILE: {problem}; the run is reported without it")
    in_thread(run.running.finishing(told))
    return ended.code


def _refuse(message: str, code: int) -> int:
    _complain(message)
    return code


def _complain(message: str) -> None:
    print(f"learnops run: {message}", file=sys.stderr)


def _log_to_stderr() -> None:
    """Warnings of the SDK, told apart from what CMD writes."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("learnops run: %(message)s"))
    logging.getLogger("learnops.client").addHandler(handler)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 3600")
    return seconds
