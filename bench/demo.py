"""`make demo` with warm caches: where its time goes."""

import re
import subprocess
import sys
from itertools import pairwise

from bench.figure import Figure
from bench.rig import ROOT, Rig
from testbed.errors import TestbedError

_LINE = re.compile(r"^\s*(\d+\.\d) s\s+(.*)$", re.MULTILINE)
_WANTED_SECONDS = 90
_NAMES = {
    "starting etcd": "servers start",
    "kubectl apply": "CRDs and example applied",
    "learnops db": "schema, api, operator ready",
    "simulated agents": "six rollouts decided",
}


def run(_rig: Rig) -> list[Figure]:
    """As a process of its own, as `make` runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "testbed.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if done.returncode:
        raise TestbedError(f"make demo ended with {done.returncode}:\n{done.stdout[-2000:]}")
    lines = [(float(at), what) for at, what in _LINE.findall(done.stdout)]
    parts = [
        Figure(name=_name(what), value=after - at, unit="s")
        for (at, what), (after, _) in pairwise(lines)
    ]
    total = lines[-1][0]
    whole = Figure(name="make demo, warm, in all", value=total, unit="s", at_most=_WANTED_SECONDS)
    return [*parts, whole]


def _name(line: str) -> str:
    return next((name for begin, name in _NAMES.items() if line.startswith(begin)), line)
