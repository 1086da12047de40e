"""Without a way to tell who is asking the api does not start."""

import pytest

from learnops.server.auth import AuthSetupError, authenticator, check
from learnops.server.problems import Problem

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "set LEARNOPS_DEV_TOKEN to a secret of at least 16 characters"),
        ({"LEARNOPS_DEV_TOKEN": "short"}, "has 5 characters; use at least 16"),
        (
            {"LEARNOPS_DEV_TOKEN": TOKEN, "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            "for development only; unset it",
        ),
    ],
)
def test_refuses_to_start(environ: dict[str, str], message: str) -> None:
    with pytest.raises(AuthSetupError, match=message):
        authenticator(environ)


async def test_the_token_and_no_other() -> None:
    by = authenticator({"LEARNOPS_DEV_TOKEN": TOKEN})
    assert (await check(f"bearer {TOKEN}", by=by)).name == "development"
    for header in (None, "", TOKEN, "Basic eDp5", "Bearer ", f"Bearer {TOKEN}x", "Bearer \udcff"):
        with pytest.raises(Problem):
            await check(header, by=by)
