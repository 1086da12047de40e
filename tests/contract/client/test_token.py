"""The token comes from a file that rotates: the next request carries what is in it then."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from learnops.client import Learner
from learnops.client import token as module
from learnops.client.answer import TransportError
from learnops.client.transport import Transport
from testbed.waiting import wait_until
from tests.contract.client.stand_in import StandInApi

Connect = Callable[..., Learner]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEARNOPS_TOKEN", "LEARNOPS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A projected volume as the kubelet keeps it: `token` is a link through a link."""
    project(tmp_path, "first")
    (tmp_path / "token").symlink_to("..data/token")
    return tmp_path / "token"


def project(folder: Path, token: str) -> None:
    """The kubelet writes a new folder and then swaps one link for it."""
    (folder / token).mkdir()
    (folder / token / "token").write_text(token + "\n")
    (folder / "..new").symlink_to(token)
    (folder / "..new").rename(folder / "..data")


def wait_for(api: StandInApi, token: str, *, path: str | None = None) -> None:
    wait_until(
        lambda: any(
            request["token"] == f"Bearer {token}" and path in (None, request["path"])
            for request in list(api.requests)
        ),
        what=f"a request to {path or 'any path'} with {token}",
        deadline_seconds=60,
    )


def test_the_token_rotates_for_every_thread(api: StandInApi, connect: Connect, mount: Path) -> None:
    learner = connect(token=None, token_file=str(mount), options={"long_poll_seconds": 1})
    wait_for(api, "first", path="/v1/snapshot")
    project(mount.parent, "second")
    with learner.start() as run:
        run.finish(metrics={})
    wait_for(api, "second", path="/v1/runs:batch")
    wait_for(api, "second", path="/v1/snapshot")


def test_a_refused_token_loses_no_run(api: StandInApi, connect: Connect, mount: Path) -> None:
    def refuse(handler: Any) -> None:
        if handler.headers["Authorization"] == "Bearer second":
            api.misbehave.clear()
        handler.answer(401, {"detail": "this token is not known"})

    api.misbehave["/v1/runs:batch"] = refuse
    learner = connect(token=None, token_file=str(mount))
    with learner.start() as run:
        run.finish(metrics={})
    wait_for(api, "first", path="/v1/runs:batch")
    project(mount.parent, "second")
    assert learner.flush(60)
    assert len(api.runs) == 1
    assert learner.stats()["bundles_accepted"] == 1


@pytest.mark.parametrize("broken", [b"", b"  \n", b"two words", b"line\nfeed", b"x" * 20_000, None])
def test_a_file_that_is_being_written_changes_nothing(mount: Path, broken: bytes | None) -> None:
    token = module.Token(file=str(mount))
    assert token.headers() == {"Authorization": "Bearer first"}
    if broken is None:
        mount.unlink()
    else:
        (mount.parent / "..data" / "token").write_bytes(broken)
    assert token.headers() == {"Authorization": "Bearer first"}
    if broken is None:
        mount.symlink_to("..data/token")
    (mount.parent / "..data" / "token").write_text("whole")
    assert token.headers() == {"Authorization": "Bearer whole"}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), ("", "is empty"), ("a\nb", "holds no token")],
)
def test_without_a_token_at_the_start_it_says_so(
    connect: Connect, tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "none"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=f"token_file is .*none': {why}; mount a projected"):
        connect(token=None, token_file=str(path))


def test_where_the_token_comes_from(
    api: StandInApi, monkeypatch: pytest.MonkeyPatch, mount: Path, tmp_path: Path
) -> None:
    """Arguments before the environment, a value before a file, the projected file last."""
    other = tmp_path / "other"
    other.write_text("other")

    def sent(**given: Any) -> str | None:
        with Learner("planner", api=api.url, namespace="agents", **given) as learner:
            return learner._engine.transport._token.headers().get("Authorization")

    assert sent() is None
    monkeypatch.setattr(module, "PROJECTED", str(mount))
    assert sent() == "Bearer first"
    monkeypatch.setenv("LEARNOPS_TOKEN_FILE", str(other))
    assert sent() == "Bearer other"
    monkeypatch.setenv("LEARNOPS_TOKEN", "value")
    assert sent() == "Bearer value"
    assert sent(token_file=str(mount)) == "Bearer first"
    assert sent(token="given", token_file=str(mount)) == "Bearer given"


@pytest.mark.parametrize("blank", ["\n", " ", "\r\n"])
def test_blanks_around_a_token_are_no_part_of_it(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    monkeypatch.setenv("LEARNOPS_TOKEN", f"s3cret{blank}")
    with connect(token=None).start() as run:
        run.finish(metrics={})
    wait_for(api, "s3cret", path="/v1/runs:batch")


@pytest.mark.parametrize("value", ["\n", "s3cret\nX-Other: 1", "s3 cret", "s3crét", "s" * 20_000])
def test_what_can_be_no_token_is_refused_and_not_told(connect: Connect, value: str) -> None:
    with pytest.raises(
        ValueError, match=r"^token (is empty|holds no token); pass token="
    ) as caught:
        connect(token=value)
    assert value not in str(caught.value)


def test_what_no_header_can_carry_fails_without_being_told(api: StandInApi) -> None:
    transport = Transport(api=api.url, token="s3cret\n")
    with pytest.raises(TransportError) as caught:
        transport.get("/v1/snapshot", query={}, timeout=5)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
