"""`learnops crl show`: what a run scored, and why."""

import argparse
import json
import sys
from typing import Any

from learnops.cli.cluster.session import object_name
from learnops.cli.cluster.tables import number, table

_EXAMPLES = """
Asks the api, which has the run log. LEARNOPS_API, LEARNOPS_TOKEN and LEARNOPS_NAMESPACE say where,
as they do for the SDK; the token's account needs the verb read on the run's doer.

examples:
  kubectl learnops crl show r-81f3 -n agents
  # the loss alone
  kubectl learnops crl show r-81f3 -o json | jq .loss

exit code: 0; 1 there is no such run, or the api refuses or is away; 2 an argument or the
environment is wrong
"""


def add_parser(commands: Any) -> None:
    """Add `crl show`."""
    parser = commands.add_parser(
        "show",
        help="the loss of a run in the run log, term by term",
        description="The Composite Run Loss of a run that was reported.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run_id", metavar="RUN_ID", help="the run's id")
    add("-n", "--namespace", type=object_name, help="of its doer ($LEARNOPS_NAMESPACE)")
    add("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print; the exit code."""
    from learnops.client.reader import Reader, ReaderError

    try:
        with Reader(namespace=arguments.namespace) as reader:
            found = reader.run(arguments.run_id)
    except ValueError as error:
        return _fail(str(error), code=2)
    except ReaderError as error:
        return _fail(str(error), code=1)
    print(json.dumps(found, indent=2) if arguments.output == "json" else _text(found))
    return 0


def _text(run: dict[str, Any]) -> str:
    partial = f" (partial: not reported {', '.join(run['missing'])})" if run["partial"] else ""
    who = f"doer {run['doer']}, policy {run['policy'] or '-'}, arm {run['arm']}"
    reward = (run.get("reward") or {}).get("value")
    lines = [
        f"run      {run['runId']}: {who}",
        f"loss     {number(run['loss'], places=4)}{partial}",
        f"CRL      {number(run['crl'], places=4)}: loss times the sum of the weights",
        *([f"reward   {number(reward, places=4)}"] if reward is not None else []),
        "",
    ]
    ordered = sorted(run["weights"], key=lambda it: -run["contributions"].get(it, 0.0))
    rows = [
        (
            term,
            number(run["terms"].get(term), places=4),
            run["weights"][term],
            number(run["contributions"].get(term), places=4),
        )
        for term in ordered
    ]
    return "\n".join([*lines, table(("TERM", "VALUE", "WEIGHT", "CONTRIBUTION"), rows)])


def _fail(message: str, *, code: int) -> int:
    print(f"learnops crl show: {message}", file=sys.stderr)
    return code
