"""`learnops signal`: tell what was found out about a run's work, from a pipeline or by hand."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learnops.client.answer import Answer
    from learnops.client.settings import Settings

_EXAMPLES = """
compile, tests, errors and human make the run's reward; other names are kept for datasets. A value
is 0 to 1, true or false; of errors 0 is the best, of the others 1. Nothing of it counts as evidence
of a rollout. The run must have been reported, or registered while a canary is live.

LEARNOPS_API, LEARNOPS_TOKEN and LEARNOPS_NAMESPACE say where, as they do for the SDK.

examples:
  # what a CI job found; the job's id makes running the step again harmless
  learnops signal "$RUN_ID" --doer coder compile=true tests=0.97 --source ci --key "$CI_JOB_ID"
  # a reviewer merged the pull request
  learnops signal "$RUN_ID" --doer coder human=true --source pull-request --note "merged as is"
  # the reward that the run has now
  learnops signal "$RUN_ID" --doer coder errors=0.1 -o json | jq .reward.value

exit code: 0 stored (also where it was before), 1 the api refused it or was not there for --seconds,
2 an argument or the environment is wrong
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "signal",
        help="tell what was found out about a run's work",
        description="Append signals to a run: for its reward and for datasets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run_id", metavar="RUN_ID", type=_run_id, help="the run's id")
    add("signals", metavar="NAME=VALUE", nargs="+", type=_signal, help="e.g. tests=0.97")
    add("--doer", required=True, help="name of the run's Doer")
    add("-n", "--namespace", help="where the Doer lives ($LEARNOPS_NAMESPACE)")
    add("--source", default="", help="who says so, e.g. ci")
    add("--note", default="", help="a few words; personal data is taken out of it")
    add("--key", help="names this telling: the same key again is stored once (a random one)")
    add("--observed-at", type=_time, metavar="TIME", help="when, e.g. 2026-11-20T10:00:00Z")
    add("--seconds", type=_seconds, default=30.0, help="how long to try for an api away (30)")
    add("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send; the exit code."""
    from learnops.client.settings import Options, Settings

    names = [name for name, _ in arguments.signals]
    if len(set(names)) < len(names):
        return _fail("a name is there twice; give one value each", code=2)
    try:
        settings = Settings.resolve(
            doer=arguments.doer,
            api=None,
            token=None,
            namespace=arguments.namespace,
            serving=None,
            options=Options(),
        )
    except ValueError as error:
        return _fail(str(error), code=2)
    answer = _sent(settings, arguments)
    if isinstance(answer, str):
        return _fail(answer, code=1)
    if not 200 <= answer.status < 300:
        return _fail(f"the api refused it: {answer.detail}", code=1)
    if not isinstance(answer.body, dict) or not {"results", "reward"} <= answer.body.keys():
        return _fail(f"{settings.api} does not answer as the api: must be its base URL", code=1)
    print(json.dumps(answer.body) if arguments.output == "json" else _table(answer.body))
    return 0


def _sent(settings: "Settings", arguments: argparse.Namespace) -> "Answer | str":
    """The api's answer, or why there is none. Sending again is safe: the keys stay."""
    from learnops.client.answer import TransportError
    from learnops.client.backoff import Backoff
    from learnops.client.later import path_of
    from learnops.client.transport import Transport

    transport = Transport(api=settings.api, token=settings.token, token_file=settings.token_file)
    body = json.dumps(_body(settings, arguments)).encode()
    end, backoff = time.monotonic() + arguments.seconds, Backoff()
    while True:
        left = end - time.monotonic()
        try:
            seconds = max(min(left, settings.options.request_seconds), 0.1)
            answer = transport.post(path_of(arguments.run_id), body=body, timeout=seconds)
        except TransportError as error:
            found: Answer | str = f"no answer at {settings.api}: {error}"
            wait = backoff.seconds()
        else:
            if answer.status not in (429, 502, 503, 504):
                return answer
            found, wait = answer, backoff.seconds(retry_after=answer.retry_after)
        if time.monotonic() + wait >= end:
            return found
        time.sleep(wait)


def _body(settings: "Settings", arguments: argparse.Namespace) -> dict[str, Any]:
    key = arguments.key or os.urandom(16).hex()
    common: dict[str, Any] = {"source": arguments.source, "note": arguments.note}
    if arguments.observed_at is not None:
        common["observedAt"] = arguments.observed_at
    signals = [
        {"name": name, "value": value, "key": f"{key}/{name}", **common}
        for name, value in arguments.signals
    ]
    return {"namespace": settings.namespace, "doer": settings.doer, "signals": signals}


def _table(body: dict[str, Any]) -> str:
    lines = [f"{result['status']:<10} {result['key']}" for result in body["results"]]
    return "\n".join([*lines, _reward_line(body["reward"])])


def _reward_line(reward: dict[str, Any]) -> str:
    if reward["value"] is None:
        return "reward     none: no signal that has a weight"
    missing: Sequence[str] = reward["missing"]
    partial = f" (partial: no {', '.join(missing)})" if missing else ""
    return f"reward     {reward['value']:.4f}{partial}"


def _signal(text: str) -> tuple[str, float | bool]:
    from learnops.client.quality import NAME

    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r:.60} must be NAME=VALUE, e.g. tests=0.97")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r:.60}: must be 0 to 1, true or false")
    return name, number


def _run_id(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of another encoding
        raise argparse.ArgumentTypeError(f"{text!r:.60} must be UTF-8") from None
    return text


def _time(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be like 2026-11-20T10:00:00Z") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError("must name its time zone, e.g. 2026-11-20T10:00:00Z")
    return at.isoformat()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r:.40} must be above 0 and at most 3600")
    return value


def _fail(message: str, *, code: int) -> int:
    print(f"learnops signal: {message}", file=sys.stderr)
    return code
