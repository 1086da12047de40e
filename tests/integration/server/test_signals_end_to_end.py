"""From an agent, a pipeline and a thumb to the reward of a run: SDK, command, api, Postgres."""

import json
from typing import Any

import psycopg
import pytest

from learnops.cli.main import main
from tests.integration.server.conftest import TOKEN, Api
from tests.integration.server.test_sdk import METRICS, Connect
from tests.integration.server.test_sdk import connect as connect
from tests.live_doer import LiveDoer

Said = pytest.CaptureFixture[str]


def signal(*arguments: str) -> int:
    return main(["signal", *arguments])


@pytest.fixture
def environment(api: Api, world: LiveDoer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pipeline is given."""
    monkeypatch.setenv("LEARNOPS_API", api.url)
    monkeypatch.setenv("LEARNOPS_TOKEN", TOKEN)
    monkeypatch.setenv("LEARNOPS_NAMESPACE", world.namespace)


def test_a_run_its_pipeline_and_its_reader(
    api: Api, world: LiveDoer, connect: Connect, environment: None, capsys: Said
) -> None:
    learner = connect()
    run = learner.start(run_id="job/7")
    run.signal("errors", 0.5, source="agent")
    run.finish(metrics=METRICS, signals={"compile": True, "tests": 0.5})
    assert learner.flush(30)
    arguments = (run.id, "--doer", "planner", "tests=1.0", "--source", "ci", "--key", "build-7")
    assert signal(*arguments, "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reward"]["value"] == pytest.approx((0.3 + 0.4 + 0.2 * 0.5) / 0.9)
    assert signal(*arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "duplicate  build-7/tests",
        "reward     0.8889 (partial: no human)",
    ]
    learner.signal(run.id, "human", False, source="thumbs")
    assert learner.flush(30)
    found: Any = api.get(f"/v1/runs/job%2F7?namespace={world.namespace}").body
    assert found["reward"]["value"] == pytest.approx(0.3 + 0.4 + 0.2 * 0.5)
    assert found["reward"]["partial"] is False
    assert [it["source"] for it in found["signals"]] == [
        "bundle",
        "bundle",
        "agent",
        "ci",
        "thumbs",
    ]
    assert found["loss"] == pytest.approx(0.075)
    with psycopg.connect(world.database) as connection:
        rows = connection.execute(
            "SELECT run_id, loss, reward, partial FROM v_run_rewards WHERE reward >= 0.7"
        ).fetchall()
    assert rows == [("job/7", found["loss"], found["reward"]["value"], False)]


def test_the_command_says_what_is_wrong(
    api: Api, world: LiveDoer, environment: None, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post("/v1/runs", world.bundle("a"))
    assert signal("never", "--doer", "planner", "tests=1") == 1
    assert "the api refused it: 404 no run 'never'" in capsys.readouterr().err
    assert signal("a", "--doer", "planner", "tests=1", "tests=0") == 2
    assert "a name is there twice" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        signal("a", "--doer", "planner", "tests=3")
    assert refused.value.code == 2
    assert "'tests=3': must be 0 to 1, true or false" in capsys.readouterr().err
    monkeypatch.setenv("LEARNOPS_API", "http://127.0.0.1:1")
    assert signal("a", "--doer", "planner", "tests=1", "--seconds", "0.3") == 1
    assert "no answer at http://127.0.0.1:1" in capsys.readouterr().err
    monkeypatch.delenv("LEARNOPS_API")
    assert signal("a", "--doer", "planner", "tests=1") == 2
    assert "set LEARNOPS_API" in capsys.readouterr().err
