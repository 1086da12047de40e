"""`learnops signal -n`, as the commands beside it have it."""

import argparse

from learnops.cli import signal


def test_the_namespace_has_its_short_form() -> None:
    parser = argparse.ArgumentParser()
    signal.add_parser(parser.add_subparsers())
    told = parser.parse_args(["signal", "r1", "tests=1", "--doer", "planner", "-n", "agents"])
    assert told.namespace == "agents"
