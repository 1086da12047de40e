"""`make demo`: set everything up, play six rollouts of known truth, compare the verdicts.

Exit codes: 0 all verdicts are right, 1 one is not, 2 the demo itself could not run.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from testbed.demo import keep
from testbed.demo.cluster import NAMESPACE, State, read
from testbed.demo.screen import Screen
from testbed.demo.story import Ending, Player
from testbed.demo.truth import STORIES
from testbed.demo.verdicts import table
from testbed.errors import TestbedError
from testbed.product import Product
from testbed.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
LOOK_SECONDS = 0.4
WIDTH = 120


def main() -> int:
    """Parse the flags and play."""
    arguments = _parser().parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:  # a log file has no width of its own; the table needs this much
        console = Console(highlight=False, width=WIDTH)
    # Ctrl-C and SIGTERM alike unwind the stack below, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _play(console, kept=arguments.keep, deadline_seconds=arguments.deadline_seconds)
    except TestbedError as error:
        console.print(f"[bold red]the demo could not run:[/] {error}", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.demo",
        description="Play six rollouts of known truth on a real control plane.",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument(
        "--deadline-seconds",
        type=float,
        default=180,
        help="give up on verdicts after this long (180)",
    )
    return parser


def _play(console: Console, *, kept: bool, deadline_seconds: float) -> int:
    began = time.monotonic()

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/]  {what}", soft_wrap=True)

    say("starting etcd, kube-apiserver, kube-controller-manager, Prometheus, PostgreSQL")
    with Stack(scrape_interval_seconds=1.0) as stack:
        product = Product(stack, root=ROOT, namespace=NAMESPACE)
        try:
            _set_up(stack, product, say=say)
            endings = _tell(stack, product, console=console, deadline_seconds=deadline_seconds)
            console.print(table(endings))
            right = sum(ending.right for ending in endings)
            say(f"{right} of {len(endings)} verdicts are right")
            if any(ending.late for ending in endings):
                say("on a busy machine: python -m testbed.demo --deadline-seconds 900")
            if kept:
                _keep(stack, product, console=console)
        finally:
            product.stop()
    return 0 if right == len(endings) else 1


def _set_up(stack: Stack, product: Product, *, say: Callable[[str], None]) -> None:
    say("kubectl apply -f crds/ and -k examples/demo")
    stack.plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    stack.plane.wait_established()
    stack.plane.kubectl("apply", "-k", str(ROOT / "examples/demo"))
    say("learnops db upgrade, learnops api, learnops operator")
    product.migrate()
    product.start()
    say("simulated agents work through the SDK; each doer's policyRef changes to v2, then to v3")
    for doer in STORIES:
        product.start_agents(doer, truth=ROOT / "examples/demo/truth.yaml")


def _tell(
    stack: Stack, product: Product, *, console: Console, deadline_seconds: float
) -> list[Ending]:
    players = [Player(doer, stack.plane) for doer in STORIES]
    deadline = time.monotonic() + deadline_seconds
    pause = threading.Event()
    state: State = read(stack.plane.api)
    with Screen(console) as screen:
        while not all(player.done for player in players) and time.monotonic() < deadline:
            if (dead := product.failed()) is not None:
                raise TestbedError(f"{dead.name} ended by itself; its log ends:\n{dead.log_tail()}")
            state = read(stack.plane.api)
            screen.show(state)
            for player in players:
                player.advance(state)
            pause.wait(LOOK_SECONDS)
        screen.show(state)
    for player in players:
        player.give_up(state)
    return [ending for player in players for ending in player.endings]


def _keep(stack: Stack, product: Product, *, console: Console) -> None:
    programs = Path(sys.executable).parent
    told = keep.environment(stack, product, namespace=NAMESPACE, programs=programs)
    file = keep.write(stack.work.path / keep.FILE_NAME, told)
    console.print(
        keep.text(file, stack=stack, product=product, namespace=NAMESPACE),
        soft_wrap=True,
        markup=False,
    )
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
