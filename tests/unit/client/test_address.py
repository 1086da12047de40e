"""The api's address: what cannot be reached is refused, and no password repeated."""

import pytest

from learnops.client.address import base_url

WAY_OUT = "pass api= or set LEARNOPS_API, like http://learnops-api:8080"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("http://api:8080", "http://api:8080"),
        (" https://api/learnops//\n", "https://api/learnops"),
        ("HTTP://[::1]:80", "HTTP://[::1]:80"),
    ],
)
def test_blanks_around_it_and_slashes_behind_it_are_no_part_of_it(given: str, found: str) -> None:
    assert base_url(given) == found


@pytest.mark.parametrize(
    "given",
    [
        *("", "api:8080", "ftp://api", "http://", "http://:80", "http://[::1", "http://a b"),
        *("http://api:abc", "http://api:99999", "http://api:0", "http://10.0.0.1:80:90"),
    ],
)
def test_what_cannot_be_reached_is_named_with_the_way_out(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEARNOPS_API", given)
    with pytest.raises(ValueError) as refused:
        base_url(None)
    assert str(refused.value) == f"api is {given!r}; {WAY_OUT}"


@pytest.mark.parametrize("given", ["http://api/?tenant=acme", "http://api#runs"])
def test_what_would_be_left_out_of_each_request_is_refused(given: str) -> None:
    with pytest.raises(ValueError) as refused:
        base_url(given)
    assert str(refused.value) == f"api is {given!r} and must end with its path: {WAY_OUT}"


@pytest.mark.parametrize("given", ["http://user:s3cret@api:8080", "user:s3cret@api", "http://@["])
def test_a_password_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError) as refused:
        base_url(given)
    assert str(refused.value) == (
        f"api holds a user or a password; it must hold none: {WAY_OUT}, and the token with token= "
        "or LEARNOPS_TOKEN"
    )
