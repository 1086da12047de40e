"""What the commands on the API server refuse before they ask it."""

import pytest

from learnops.adapters.kube.context import namespace_of
from learnops.cli.main import main

CONFIG = """
contexts:
- {name: here, context: {cluster: c, user: u, namespace: agents}}
- {name: bare, context: {cluster: c, user: u}}
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("get", "Planner"), "must be lower case letters, digits and -"),
        (("get", "-n", "a/b"), "must be lower case letters, digits and -"),
        (("watch", "planner", "--timeout", "0"), "must be 0.1 to 31536000 seconds"),
        (("watch", "planner", "--interval", "nan"), "must be 0.1 to 31536000 seconds"),
        (("canary", "start", "planner"), "--candidate"),
        (
            ("canary", "start", "planner", "--candidate", "a", "--steps", "5,x"),
            "must be percentages, e.g. 5,10,25,50",
        ),
        (("canary", "promote", "c1"), "invalid choice: 'promote'"),
        (("promote", "p", "--dry-run", "yes"), "invalid choice: 'yes'"),
    ],
)
def test_wrong_arguments_are_named_and_end_with_2(arguments, expected, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot be read"),
        ("- a", "must be one Policy"),
        ("kind: Doer", "kind: 'Doer' is not Policy"),
        ("hparams: {}", "version: must be there, or be given with --version"),
    ],
)
def test_files_that_are_no_policy(text, expected, tmp_path, capsys):
    file = tmp_path / "policy.yaml"
    if text is not None:
        file.write_text(text)
    assert main(("policy", "create", "p", "--doer", "d", "--from", str(file))) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("current", "expected"), [("here", "agents"), ("bare", "default"), ("gone", "default")]
)
def test_the_namespace_is_that_of_the_context(current, expected, tmp_path):
    file = tmp_path / "config"
    file.write_text(f"{CONFIG}current-context: {current}\n")
    assert namespace_of(file) == expected


def test_no_api_server_is_told_with_the_way_out(tmp_path, capsys):
    file = tmp_path / "config"
    file.write_text(f"{CONFIG}current-context: here\n")
    assert main(("get", "--kubeconfig", str(file))) == 1
    assert capsys.readouterr().err.startswith("learnops get: no answer of the API server: ")
    assert main(("get", "--kubeconfig", str(tmp_path / "none"))) == 1
    assert "pass --kubeconfig or set KUBECONFIG" in capsys.readouterr().err
