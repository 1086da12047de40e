"""A kubeconfig that is damaged ends in one line with its name, and in no traceback."""

from pathlib import Path

import pytest

from learnops.adapters.kube.context import namespace_of
from learnops.cli.main import main

CONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u, namespace: agents}}]
"""
CLUSTER = 'clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]\n'
USER = "users: [{name: u, user: {}}]\n"
AUTHORITY = """
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:9", certificate-authority-data: aGk=}}
"""
KEY = "users: [{name: u, user: {client-certificate-data: aGk=, client-key-data: aGk=}}]\n"

DAMAGED = {
    "an authority that is none": (CONFIG + AUTHORITY + USER).encode(),
    "a key that is none": (CONFIG + CLUSTER + KEY).encode(),
    "a date that is in no calendar": b"a: 2026-13-45\n",
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_with_the_way_out(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config"
    file.write_bytes(DAMAGED[damage])
    assert main(["get", "--kubeconfig", str(file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"learnops get: no Kubernetes API server: {file}: ")
    assert line.endswith("or run in a pod with its service account")


def test_several_files_are_one_as_for_kubectl(tmp_path: Path) -> None:
    for name, content in {"a": CONFIG, "b": CLUSTER + USER}.items():
        (tmp_path / name).write_text(content)
    assert namespace_of(Path(f"{tmp_path}/a:{tmp_path}/none:{tmp_path}/b")) == "agents"
