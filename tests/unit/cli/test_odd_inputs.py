"""What a person or a pipeline gets wrong ends in one line that names it, and in no traceback."""

import os
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from learnops.cli.main import main

LEARNOPS = [sys.executable, "-m", "learnops.cli.main"]
DOER = "kind: Doer\nspec: {crl: {weights: {grounding: '1'}}}\n"
ROW = '{"arm": "control", "propensity": 0.5, "loss": 0.5, "terms": {"grounding": 0.5}}\n'
BAD_YAML = {
    "a: 1\nb: [": "is not YAML (line 2: expected the node content, but found '<stream end>')",
    "a: b: c": "is not YAML (line 1: mapping values are not allowed here)",
    "a: " + "9" * 5000: "is YAML that cannot be read",
    "a: " + "[" * 5000 + "]" * 5000: "is YAML that cannot be read",
    "a: !!bool perhaps": "is YAML that cannot be read",
    "a: !!timestamp never": "is YAML that cannot be read",
}


@pytest.mark.parametrize("text", BAD_YAML)
def test_yaml_that_is_none_is_named_with_its_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text(text)
    assert main(["evaluate", "--canary", str(file), "--runs", "-"]) == 2
    assert capsys.readouterr().err == f"learnops evaluate: {file}: {BAD_YAML[text]}\n"


def test_what_looks_like_a_date_is_text_as_for_kubectl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that is in no calendar; and a Doer's annotations may hold whatever there is."""
    file = tmp_path / "doer.yaml"
    file.write_text(f"{DOER}metadata: {{name: d, annotations: {{at: 2026-11-20, by: 2026-13-45}}}}")
    (tmp_path / "bundles").write_text('{"metrics": {"grounding": 0.5}}\n')
    given = ["crl", "compute", "--doer", str(file), "--bundles", str(tmp_path / "bundles")]
    assert main(given) == 0
    assert '"loss":0.5' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: Policy\nspec: [a]", "spec: must be the content of a policy"),
        ("spec: planner", "spec: must be the content of a policy"),
        ("kind: Policy", "spec: must be the content of a policy"),
        ("hparams: {topP: .nan}", "hparams: must be JSON: Out of range float values"),
        ("hparams: !!binary aGk=", "hparams: must be JSON: Object of type bytes"),
        ("models: !!set {a, b}", "models: must be JSON: Object of type set"),
        ("prompts: &p {variants: [*p]}", "prompts: must be JSON: Circular reference"),
    ],
)
def test_a_policy_that_cannot_travel_is_named_by_its_field(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    given = ["policy", "create", "p", "--doer", "d", "--version", "1.0.0", "--from", str(file)]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith(f"learnops policy create: {file}: {told}")


@pytest.mark.parametrize("text", ["kind: List\nitems:\n", "items: 5", "items: {a: 1}"])
def test_a_list_of_canaries_that_is_none_is_named(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "canaries").write_text(text)
    (tmp_path / "runs").write_text(ROW)
    given = ["--runs", str(tmp_path / "runs"), "--canaries", str(tmp_path / "canaries")]
    assert main(["crl", "replay", "--weights", "grounding=1", *given]) == 2
    assert "canaries: items: must be a list of CanaryDeployments\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "replay"])
@pytest.mark.parametrize("array", [f"[{ROW.strip()}]\n", f"[\n  {ROW}]\n"])
def test_an_array_in_place_of_lines_is_told_with_the_way_out(
    command: str, array: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "canary").write_text("kind: CanaryDeployment\nspec: {analysis: {}}\n")
    (tmp_path / "runs").write_text(array)
    given = {
        "evaluate": ["evaluate", "--canary", str(tmp_path / "canary")],
        "replay": ["crl", "replay", "--weights", "grounding=1"],
    }[command]
    assert main([*given, "--runs", str(tmp_path / "runs")]) == 2
    told = "line 1: line: is a JSON array; must be one object a line, as `jq -c '.[]'` makes of it"
    assert capsys.readouterr().err.endswith(f": {told}\n")


def test_closed_input_is_told(tmp_path: Path) -> None:
    (tmp_path / "doer.yaml").write_text(DOER)
    done = subprocess.run(
        [*LEARNOPS, "crl", "compute", "--doer", str(tmp_path / "doer.yaml")],
        preexec_fn=partial(os.close, 0),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = "learnops crl compute: standard input is closed: give a file\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.parametrize("name", ["/" + "a" * 300, "no/such/agent"])
def test_a_command_whose_name_can_be_no_file_is_not_found(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["run", "--doer", "planner", "--api", "http://127.0.0.1:9", "-n", "agents", "--", name]
    assert main(given) == 127
    assert capsys.readouterr().err == f"learnops run: {name}: is not found\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["r\udcff"], "argument RUN_ID: 'r\\udcff' must be UTF-8"),
        (["r", "--seconds", "soon"], "--seconds: 'soon' must be above 0 and at most 3600"),
        (["r", "--seconds", "nan"], "--seconds: 'nan' must be above 0 and at most 3600"),
    ],
)
def test_a_signals_arguments_are_named(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["signal", *arguments, "--doer", "planner", "tests=1"])
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


class Stranger(BaseHTTPRequestHandler):
    """A server that takes everything and is not the api."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    def log_message(self, format: str, *args: object) -> None:
        """No news."""


def test_a_signal_to_another_server_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("LEARNOPS_API", url)
        monkeypatch.setenv("LEARNOPS_NAMESPACE", "agents")
        assert main(["signal", "r", "--doer", "planner", "tests=1"]) == 1
    told = f"learnops signal: {url} does not answer as the api: must be its base URL\n"
    assert capsys.readouterr().err == told
