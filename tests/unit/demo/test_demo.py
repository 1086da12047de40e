"""What the demo says at its end, and what it leaves for another terminal."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from testbed.demo import keep
from testbed.demo.cluster import Rollout
from testbed.demo.story import Ending
from testbed.demo.truth import STORIES, Story
from testbed.demo.verdicts import table

BETTER, WORSE = STORIES["planner"]


def rollout(stage: str) -> Rollout:
    return Rollout(
        name="c1",
        doer="planner",
        candidate="planner-v2",
        stage=stage,
        futile=False,
        culprit="",
        source="RunLog",
        percent=5,
        runs=3,
        control_runs=30,
        loss="0.4",
        control_loss="0.4",
        promote=("1", "33"),
        rollback=("1", "20"),
        waiting_for="",
        seconds=None,
    )


@pytest.mark.parametrize(
    ("story", "found", "told", "late"),
    [
        (BETTER, rollout("Promoted"), "right", False),
        (BETTER, rollout("RolledBack"), "WRONG", False),
        (WORSE, rollout("Promoted"), "WRONG", False),
        (BETTER, rollout("Canary"), "no verdict in time", True),
        (WORSE, None, "no verdict in time", True),
    ],
)
def test_no_verdict_is_not_called_a_wrong_one(
    story: Story, found: Rollout | None, told: str, late: bool
) -> None:
    ending = Ending(story=story, rollout=found, seconds=1.0)
    assert ending.late is late
    (said,) = table([ending]).columns[-1].cells
    assert str(said) == told


def test_the_file_sets_up_another_terminal(tmp_path: Path) -> None:
    told = {"PATH": "/with a space/bin:$PATH", "LEARNOPS_TOKEN": "it's $HOME `secret`"}
    file = keep.write(tmp_path / keep.FILE_NAME, told)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = subprocess.run(
        ["sh", "-ec", f'. {file}; printf "%s\\n" "$PATH" "$LEARNOPS_TOKEN"'],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"/with a space/bin:{os.environ['PATH']}",
        "it's $HOME `secret`",
    ]
