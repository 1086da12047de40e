"""`learnops crl show`: a run of the run log through the api."""

import json

import pytest

from learnops.cli.main import main
from tests.integration.server.conftest import TOKEN, Api
from tests.live_doer import LiveDoer


def test_a_run_and_why_it_lost(
    api: Api, world: LiveDoer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert api.post("/v1/runs", world.bundle("job/7")).status == 201
    monkeypatch.setenv("LEARNOPS_API", api.url)
    monkeypatch.setenv("LEARNOPS_TOKEN", TOKEN)
    show = ("crl", "show", "job/7", "-n", world.namespace)
    assert main([*show, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == api.get(f"/v1/runs/job%2F7?namespace={world.namespace}").body
    assert main(show) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("run      job/7: doer planner, policy planner-v")
    assert lines[1].startswith(f"loss     {told['loss']:.4f}")
    rows = [it.split() for it in lines if it.split()[:1] and it.split()[0] in told["weights"]]
    assert len(rows) == len(told["weights"])
    shares = [float(row[3]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(told["loss"], abs=1e-3)


def test_no_such_run_nobodys_token_and_no_api(
    api: Api, world: LiveDoer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show = ("crl", "show", "r1", "-n", world.namespace)
    monkeypatch.delenv("LEARNOPS_API", raising=False)
    assert main(show) == 2
    assert "set LEARNOPS_API" in capsys.readouterr().err
    monkeypatch.setenv("LEARNOPS_API", api.url)
    monkeypatch.setenv("LEARNOPS_TOKEN", TOKEN)
    assert main(show) == 1
    assert "404 no run 'r1' in namespace" in capsys.readouterr().err
    monkeypatch.setenv("LEARNOPS_TOKEN", "another")
    assert main(show) == 1
    assert capsys.readouterr().err.startswith("learnops crl show: the api refused it: 401")
    monkeypatch.setenv("LEARNOPS_API", "http://127.0.0.1:9")
    assert main(show) == 1
    told = capsys.readouterr().err
    assert told.startswith("learnops crl show: no answer of the api:")
    assert "is it at http://127.0.0.1:9, and running?" in told
