"""docs/reference/functions.md: each form that it names is there, and the Python ones answer."""

import re
from pathlib import Path

import pytest

from learnops import client
from learnops.cli.main import main
from learnops.client import Reader, ReaderError
from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Api
from tests.live_doer import LiveDoer

TABLE = Path(__file__).parents[3] / "docs" / "reference" / "functions.md"
FUNCTIONS = {
    *("getActivePolicy", "createPolicy", "promotePolicy", "startShadowDeployment"),
    *("startCanaryDeployment", "getCanaryReport", "computeCRLForRun"),
}


def rows() -> list[list[str]]:
    """Function, command, HTTP and Python of each row."""
    lines = [it for it in TABLE.read_text().splitlines() if it.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> str:
    """What stands first in backticks; empty where nothing does."""
    found = re.search(r"`([^`]+)`", cell)
    return found.group(1) if found else ""


def test_each_form_is_there(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    paths = api.get("/openapi.json").body["paths"]
    assert {row[0].partition("(")[0] for row in rows()} == FUNCTIONS
    for function, command, http, python in rows():
        words = [it for it in code(command).split()[1:] if it.islower()]
        with pytest.raises(SystemExit) as stop:
            main([*words, "--help"])
        assert stop.value.code == 0, function
        assert code(command).split()[-1] in capsys.readouterr().out
        if code(http).startswith("GET "):
            assert "get" in paths[_route(code(http), paths)], function
        if python:
            kind, _, method = code(python).partition(".")
            assert callable(getattr(getattr(client, kind), method)), function


def _route(told: str, paths: dict[str, object]) -> str:
    route = told.removeprefix("GET ")
    return next(it for it in paths if it.replace(":path", "") == route)


def test_the_python_forms_answer_what_http_answers(api: Api, world: LiveDoer) -> None:
    assert api.post("/v1/runs", world.bundle("job/7")).status == 201
    with Reader(api=api.url, token=TOKEN, namespace=world.namespace) as reader:
        found = reader.active_policy("planner")
        assert (found.name, found.version) == ("planner-v1", "1.0.0")
        assert found.prompts["system"] == "Plan, version 1."
        run = reader.run("job/7")
        assert run == api.get(f"/v1/runs/job%2F7?namespace={world.namespace}").body
        with pytest.raises(ReaderError, match="404 no CanaryDeployment 'c9'") as refused:
            reader.canary_report("c9")
        assert refused.value.status == 404
    with (
        Reader(api="http://127.0.0.1:9", token=TOKEN, namespace="agents") as reader,
        pytest.raises(ReaderError, match="no answer of the api") as away,
    ):
        reader.run("r1")
    assert away.value.status is None


def test_a_report_of_a_canary(api: Api, world: LiveDoer) -> None:
    spec = {"doerRef": {"name": "planner"}, "candidateRefs": [{"name": "planner-v2"}]}
    world.create("canarydeployments", "CanaryDeployment", "planner-canary", spec)
    world.status("canarydeployments", "planner-canary", {"stage": "Canary"})
    with Reader(api=api.url, token=TOKEN, namespace=world.namespace) as reader:
        told = wait_until(
            lambda: _report(reader), what="the api to see the canary", deadline_seconds=30
        )
    assert (told["stage"], told["recommendation"]) == ("Canary", None)


def _report(reader: Reader) -> dict[str, object] | None:
    """Once the api has seen the canary."""
    try:
        found = reader.canary_report("planner-canary")
    except ReaderError as error:
        if error.status != 404:
            raise
        return None
    return found if found["stage"] else None
