"""Ports are for whoever asked, also before and after their server is there."""

import subprocess
import sys
from pathlib import Path

from testbed.ports import free_ports

ROOT = Path(__file__).parents[3]
ASKS = "from testbed.ports import free_ports; print(*free_ports(2_000)); input()"


def test_ports_of_one_call_and_the_next_differ() -> None:
    ports = [*free_ports(50), *free_ports(150)]
    assert len(set(ports)) == 200


def test_a_port_that_another_process_was_given_is_not_given_again() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ASKS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        assert len(theirs) == 2_000
        assert not theirs & set(free_ports(1_000))
        other.communicate("\n")
    assert other.returncode == 0
