"""The process: it does not outlive what keeps it informed."""

import asyncio

import pytest

from learnops.adapters.kube.reflector import Reflector
from learnops.cli.api_process import ApiSettings, serve
from learnops.server.announcing import Announcer
from learnops.server.auth import DevelopmentToken
from learnops.server.tracker import Mirror, PrefixTracker, SeriesKeeper
from learnops.server.upkeep import Upkeep
from testbed.ports import free_port
from testbed.stack import Stack


async def test_a_bug_in_a_watch_ends_the_process(
    crds: Stack, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bug(_self: Reflector) -> None:
        raise RuntimeError("a bug in a watch")

    monkeypatch.setattr(Reflector, "run", bug)
    settings = ApiSettings(
        database_url=database, port=free_port(), kubeconfig=crds.plane.kubeconfig
    )
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="a bug in a watch"):
            await serve(settings, by=DevelopmentToken("a-token-for-this-test"))


@pytest.mark.parametrize("loop", [Announcer, Mirror, PrefixTracker, SeriesKeeper, Upkeep])
async def test_a_bug_in_a_background_loop_ends_the_process(
    crds: Stack, database: str, monkeypatch: pytest.MonkeyPatch, loop: type
) -> None:
    async def bug(_self: object) -> None:
        raise RuntimeError("a bug in a loop")

    monkeypatch.setattr(loop, "run", bug)
    settings = ApiSettings(
        database_url=database, port=free_port(), kubeconfig=crds.plane.kubeconfig
    )
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="a bug in a loop"):
            await serve(settings, by=DevelopmentToken("a-token-for-this-test"))
