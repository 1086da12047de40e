"""What the api and the operator take alike: a flag replaces the variable, it does not add to it."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from learnops.cli import api, operator
from learnops.cli.environment import listed
from learnops.cli.main import main

URL = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "LEARNOPS_DEV_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NAMESPACES", "LEASE_NAMESPACE", "DISABLE"):
        monkeypatch.delenv(f"LEARNOPS_{name}", raising=False)
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", URL)


def settings_of(command: str, *flags: str) -> Any:
    module: Any = {"api": api, "operator": operator}[command]
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    return module._settings(parser.parse_args([command, *flags]), url=URL)


both = pytest.mark.parametrize("command", ["api", "operator"])


@both
@pytest.mark.parametrize(
    ("variable", "flags", "watched"),
    [
        (None, (), ()),
        ("", (), ()),
        (" a, b,", (), ("a", "b")),
        (None, ("--namespace", "c"), ("c",)),
        ("a", ("--namespace", "b"), ("b",)),
        ("a", ("--namespace", "b", "--namespace", "c"), ("b", "c")),
    ],
)
def test_namespaces_come_from_flags_or_else_the_variable(
    command: str,
    variable: str | None,
    flags: tuple[str, ...],
    watched: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("LEARNOPS_NAMESPACES", variable)
    assert settings_of(command, *flags).namespaces == watched


@both
@pytest.mark.parametrize(
    ("name", "variable", "flag", "read"),
    [
        ("lease_namespace", "LEARNOPS_LEASE_NAMESPACE", "--lease-namespace", str),
        ("kubeconfig", "KUBECONFIG", "--kubeconfig", Path),
    ],
)
def test_a_flag_goes_before_its_variable(
    command: str,
    name: str,
    variable: str,
    flag: str,
    read: Callable[[str], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, "a")
    assert getattr(settings_of(command), name) == read("a")
    assert getattr(settings_of(command, flag, "b"), name) == read("b")


@both
def test_without_a_database_it_says_what_to_set(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEARNOPS_DATABASE_URL")
    assert main([command]) == 2
    told = f"learnops {command}: set LEARNOPS_DATABASE_URL to the URL of Postgres\n"
    assert capsys.readouterr().err == told


@both
@pytest.mark.parametrize("content", [None, "", "users: [", "apiVersion: v1\nkind: Config\n"])
def test_with_a_kubeconfig_that_is_none(command: str, content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    # A process of its own: both set up the log of all that follows.
    done = subprocess.run(
        [sys.executable, "-m", "learnops.cli.main", command, "--kubeconfig", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    told = f"learnops {command}: no Kubernetes API server: {path}: "
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flag_that_may_be_given_again_replaces_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEARNOPS_DISABLE", "a,b")
    assert listed(None, "LEARNOPS_DISABLE") == ("a", "b")
    assert listed(["c"], "LEARNOPS_DISABLE") == ("c",)
