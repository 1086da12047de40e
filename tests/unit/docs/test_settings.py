"""docs/reference/settings.md has each flag of the two processes, with its default."""

import argparse
import re

import pytest

from tests.unit.docs.pages import ROOT
from tests.unit.docs.test_commands import parser, subparsers_of

PAGE = ROOT / "docs/reference/settings.md"
# Of this host, or of where the process runs.
_OWN = {"--identity", "--lease-namespace", "--namespace", "--keep"}


def rows(process: str) -> dict[str, list[str]]:
    """The cells beside each flag."""
    found = re.search(rf"<!-- {process} -->\n(.*?)<!-- end -->", PAGE.read_text(), re.S)
    assert found is not None
    cells = [line.split("|")[1:-1] for line in found[1].splitlines()[2:]]
    return {each[0].strip(" `"): [it.strip() for it in each[1:]] for each in cells}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "LEARNOPS_AUDIENCE", "LEARNOPS_PROMETHEUS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("LEARNOPS_PROMETHEUS_TOKEN_FILE", raising=False)


def flags(process: str) -> dict[str, argparse.Action]:
    return {
        next(it for it in action.option_strings if it.startswith("--")): action
        for action in subparsers_of(parser())[process]._actions
        if action.dest != "help"
    }


@pytest.mark.parametrize("process", ["operator", "api"])
def test_the_flags_are_those_of_the_command(process: str) -> None:
    assert list(rows(process)) == list(flags(process))


@pytest.mark.parametrize("process", ["operator", "api"])
def test_the_defaults_are_those_of_the_command(process: str) -> None:
    told = rows(process)
    for flag, action in flags(process).items():
        default = action.default
        if isinstance(default, float):
            default = f"{default:g}"
        if flag not in _OWN:
            assert told[flag][1].strip("`") == ("" if default is None else str(default)), flag


@pytest.mark.parametrize("process", ["operator", "api"])
def test_variables_are_told_by_the_help_too(process: str) -> None:
    """And each flag has a help at all."""
    for flag, action in flags(process).items():
        assert action.help, flag
        for name in re.findall(r"`([A-Z_]+)`", rows(process)[flag][0]):
            assert f"${name}" in action.help, flag
