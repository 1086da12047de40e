"""`learnops api` says what is missing before it serves anything."""

import argparse

import pytest

from learnops.cli import api


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "LEARNOPS_DEV_TOKEN",
        "LEARNOPS_AUDIENCE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    api.add_parser(parser.add_subparsers())
    return parser.parse_args(["api", *flags])


def run(*flags: str) -> int:
    arguments = parsed(*flags)
    code: int = arguments.run(arguments)
    return code


@pytest.mark.parametrize("token", [None, "a-development-token"])
def test_without_a_cluster_it_says_what_to_pass(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    if token is not None:
        monkeypatch.setenv("LEARNOPS_DEV_TOKEN", token)
    assert run() == 2
    assert capsys.readouterr().err == (
        "learnops api: no Kubernetes API server: this is no pod of a cluster; pass --kubeconfig or "
        "set KUBECONFIG to a file that kubectl works with, or run in a pod with its service "
        "account\n"
    )


def test_the_development_token_is_refused_in_a_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEARNOPS_DEV_TOKEN", "a-development-token")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert run() == 2
    told = capsys.readouterr().err
    assert "LEARNOPS_DEV_TOKEN is set, and this is a pod of a cluster" in told
    assert "a-development-token" not in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--access-seconds", "0"), "use 1 to 600"),
        (("--access-seconds", "nan"), "use 0 to 86400"),
        (("--access-seconds", "601"), "use 1 to 600"),
        (("--keep-series-seconds", "0.5"), "use 1 to 86400"),
        (("--audience", ""), "use 1 to 256 printable characters"),
        (("--audience", "a\nb"), "use 1 to 256 printable characters"),
    ],
)
def test_flags_out_of_bounds(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SystemExit):
        parsed(*flags)
    assert told in capsys.readouterr().err


def test_the_audience_comes_from_the_flag_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parsed().audience == "learnops"
    monkeypatch.setenv("LEARNOPS_AUDIENCE", "runs.example")
    assert parsed().audience == "runs.example"
    assert parsed("--audience", "other").audience == "other"
