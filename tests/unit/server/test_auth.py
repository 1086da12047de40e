"""Who is let in: one token on a machine without a cluster, and never by an outage."""

from http import HTTPStatus

import pytest

from learnops.ports.access import AccessUnavailableError, Caller
from learnops.server.auth import AuthSetupError, DevelopmentToken, check, development_token
from learnops.server.problems import Problem

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"LEARNOPS_DEV_TOKEN": "short"}, "has 5 characters; use at least 16"),
        (
            {"LEARNOPS_DEV_TOKEN": TOKEN, "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            "for development only; unset it, and agents are known by their service accounts",
        ),
    ],
)
def test_a_development_token_that_is_short_or_in_a_cluster_is_refused(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(AuthSetupError, match=message):
        development_token(environ)


@pytest.mark.parametrize("environ", [{}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}])
def test_without_a_development_token_kubernetes_is_asked(environ: dict[str, str]) -> None:
    assert development_token(environ) is None


async def test_the_token_and_no_other() -> None:
    by = development_token({"LEARNOPS_DEV_TOKEN": TOKEN})
    assert by is not None
    assert (await check(f"bearer {TOKEN}", by=by)).name == "development"
    for header in (None, "", TOKEN, "Basic eDp5", "Bearer ", f"Bearer {TOKEN}x", "Bearer \udcff"):
        with pytest.raises(Problem):
            await check(header, by=by)


@pytest.mark.parametrize(("asked", "told"), [(None, 1), (0.2, 1), (7.5, 8), (86_400.0, 60)])
async def test_an_outage_is_503_and_never_401(asked: float | None, told: int) -> None:
    class Away(DevelopmentToken):
        async def authenticate(self, token: str) -> Caller | None:
            raise AccessUnavailableError(f"what was asked: {token}", retry_after=asked)

    with pytest.raises(Problem) as raised:
        await check("Bearer a-secret", by=Away(TOKEN))
    problem = raised.value
    assert (problem.status, problem.retry_after) == (HTTPStatus.SERVICE_UNAVAILABLE, told)
    assert "a-secret" not in str(problem.body())
