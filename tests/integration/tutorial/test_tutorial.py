"""docs/tutorial.md is played, command by command, against the whole product."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.stack import Stack
from tests.product import ROOT, Installation
from tests.unit.docs.pages import Page

PAGE = Page(path=ROOT / "docs/tutorial.md")
_FIRST = "make demo-keep\n"  # the fixtures have started what it starts
# "Its runs arrive within a second": a reader looks again where they have not yet.
_ARRIVED = """timeout 60 bash -c 'until curl --silent "$LEARNOPS_API/metrics" \\
    | grep --quiet "runs_total.*helper"; do sleep 0.2; done'
"""


@pytest.fixture
def reader(installed: Installation, stack: Stack, tmp_path: Path) -> dict[str, str]:
    """A reader's environment: what `make demo-keep` prints, in a namespace of the test's own."""
    examples = tmp_path / "examples/tutorial"
    shutil.copytree(ROOT / "examples/tutorial", examples)
    doer = examples / "doer.yaml"
    doer.write_text(
        doer.read_text().replace("namespace: agents", f"namespace: {installed.objects.namespace}")
    )
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(stack.plane.kubeconfig),
        "LEARNOPS_API": installed.product.api.url,
        "LEARNOPS_TOKEN": installed.product.token,
        "LEARNOPS_NAMESPACE": installed.objects.namespace,
        "LEARNOPS_SPOOL": str(tmp_path / "spool"),
    }


def script(namespace: str) -> str:
    """The page's shell as one script; each block ends with a line that tells its number."""
    blocks = [block.code for block in PAGE.blocks() if block.language == "sh"]
    assert blocks[0] == _FIRST
    steps = [f"{code}echo '== {number}'\n" for number, code in enumerate(blocks[1:], start=1)]
    steps[2] = _ARRIVED + steps[2]
    return (
        "".join(steps)
        .replace("-n agents", f"-n {namespace}")
        .replace("namespace=agents", f"namespace={namespace}")
    )


def test_the_tutorial(reader: dict[str, str], installed: Installation, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script(installed.objects.namespace)],
        env=reader,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    told = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, told
    parts = done.stdout.split("== ")
    assert "helper-v1" in parts[0]
    assert 'arm="control"' in parts[2]
    assert "Promoted; helper-v2 is active" in parts[3]
    assert "exit code 3" in parts[4]
    assert "RolledBack" in parts[5]
    assert "Worse" in parts[5]
    assert "exit code 1" in parts[7]
    assert '"status":401' in parts[7]
    assert "helper-v9" in done.stderr
    assert "weights.grounding" in done.stderr
    assert 'doer.learnops.dev "helper" deleted' in parts[8]
