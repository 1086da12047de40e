"""What the documentation shows, is run; what the SDK counts, is documented."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from learnops.client import Learner
from tests.contract.client.models import Models
from tests.contract.client.stand_in import StandInApi

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "operator/learnops/client"
STATS = ROOT / "docs/reference/sdk-stats.md"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a how-to."""
    text = (ROOT / "docs/how-to" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(api: StandInApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """What the pages say to set, and a model that answers."""
    models = Models()
    monkeypatch.setenv("LEARNOPS_API", api.url)
    monkeypatch.setenv("LEARNOPS_NAMESPACE", "agents")
    monkeypatch.setenv("OPENAI_BASE_URL", models.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    yield models
    models.stop()


def my_agent(_task: object, **given: object) -> str:
    """Stands for the reader's own."""
    return f"planned with {sorted(given)}"


async def my_async_agent(task: object, **given: object) -> str:
    """The same as a coroutine."""
    return my_agent(task, **given)


def readers_code() -> dict[str, Any]:
    """What the pages take for granted."""
    return {
        "my_agent": my_agent,
        "my_async_agent": my_async_agent,
        "answer_with": lambda run, task: run.finish(metrics=measured(my_agent(task))),
        "measured": measured,
        "task": SimpleNamespace(tenant="acme", session="s1"),
        "read_only_tools": [],
        "all_tools": ["search"],
    }


def measured(_answer: object) -> dict[str, float]:
    """Metrics of an answer."""
    return {"grounding": 0.93}


def play(page: str) -> dict[str, Any]:
    """Run the Python of a page from its beginning to its end; what it has defined then."""
    names = readers_code()
    for number, code in enumerate(blocks(page, "python")):
        learner = names.get("learner")
        exec(compile(code, f"{page}[{number}]", "exec"), names)
        if isinstance(learner, Learner) and names["learner"] is not learner:
            end(learner)
    end(names["learner"])
    return names


def end(learner: Learner) -> None:
    """Once the api has all of it."""
    assert learner.flush(60)
    learner.close()


def test_the_code_of_the_sdk_page_does_what_the_page_says(
    api: StandInApi, environment: Models
) -> None:
    assert len(blocks("use-the-sdk.md", "python")) == 6
    play("use-the-sdk.md")
    told = list(api.runs.values())
    assert {one.get("tenant") for one in told} == {"acme", None}
    failed = [one for one in told if one["gates"] == [{"name": "completed", "passed": False}]]
    assert [one["qav"] for one in failed] == [{"error": "tool timed out"}]
    # The first; a block, a decorated call, by hand; three coroutines; decorated and by hand again.
    assert len(told) == 9
    assert sum(one["metrics"].get("grounding") == 0.93 for one in told) == 8


def test_the_page_of_costs(api: StandInApi, environment: Models) -> None:
    play("costs-of-a-run.md")
    (told,) = api.runs.values()
    assert (told["costs"]["modelCalls"], told["costs"]["inputTokens"]) == (2, 2000)
    expected = 2 * (600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6
    assert told["costs"]["costUSD"] == pytest.approx(expected)


def test_the_page_of_agents_in_other_languages(
    api: StandInApi, environment: Models, tmp_path: Path
) -> None:
    """With stand-ins for the reader's `node`, `jq` and `./agent`."""
    (tmp_path / "node").write_text('#!/bin/sh\necho "$LEARNOPS_POLICY: $2"\n')
    (tmp_path / "jq").write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "print(json.load(open(sys.argv[3]))['prompts']['system'])\n"
    )
    (tmp_path / "agent").write_text("#!/bin/sh\ncat\n")
    (tmp_path / "learnops").symlink_to(Path(sys.executable).with_name("learnops"))
    for name in ("node", "jq", "agent"):
        (tmp_path / name).chmod(0o755)
    export, script = blocks("agents-not-in-python.md", "sh")
    assert export.startswith("export LEARNOPS_API=")
    done = subprocess.run(
        ["sh", "-ec", export.split("\n", 1)[1] + script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "planner-v1: plan a bridge\n"
    assert (tmp_path / "plan.txt").read_text() == "Plan.\n"
    first, second = api.runs.values()
    assert (first["tenant"], first["gates"]) == ("acme", [{"name": "completed", "passed": True}])
    assert (second["metrics"], second["costs"]) == ({"grounding": 0.93}, {"costUSD": 0.02})


def counted() -> set[str]:
    """The names of all counters in the SDK's source."""
    source = "\n".join(path.read_text() for path in sorted(CLIENT.glob("*.py")))
    names = set(re.findall(r'\.count\(\s*"([a-z0-9_]+)"', source))
    # By what the api answered.
    assert 'count(f"bundles_{status}")' in source
    by_answer = {"bundles_accepted", "bundles_duplicate", "bundles_conflict"}
    # By what a spool holds.
    ends = set(re.findall(r'count\(f"\{(?:self\._)?noun\}_([a-z]+)"', source))
    assert ends == {"spooled", "unspooled", "loaded", "left"}
    return names | by_answer | {f"{noun}_{end}" for noun in ("bundles", "signals") for end in ends}


def test_every_counter_is_documented_and_no_other(api: StandInApi, environment: Models) -> None:
    listed = re.findall(r"^\| `([a-z0-9_]+)` \|", STATS.read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    with Learner("planner") as learner:
        shown = {name for name in learner.stats() if name not in learner._engine.telemetry.counts()}
    assert set(listed) == counted() | shown
