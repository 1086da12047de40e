"""If-None-Match, as RFC 9110 has it."""

import pytest

from learnops.server.etags import revalidated

BODY = {"name": "planner-v1", "stage": None}
ETAG = revalidated(BODY, if_none_match=None).headers["ETag"]


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', f'"other",{ETAG}'])
def test_who_has_it_is_sent_nothing(header: str) -> None:
    answer = revalidated(BODY, if_none_match=header)
    assert (answer.status_code, answer.body) == (304, b"")
    assert answer.headers["ETag"] == ETAG


@pytest.mark.parametrize("header", [None, "", '"other"', ETAG.strip('"'), ETAG[:-2] + '"'])
def test_who_has_another_is_sent_it(header: str | None) -> None:
    assert revalidated(BODY, if_none_match=header).status_code == 200


def test_the_order_of_fields_does_not_matter_and_their_values_do() -> None:
    turned = dict(reversed(BODY.items()))
    assert revalidated(turned, if_none_match=None).headers["ETag"] == ETAG
    changed = {**BODY, "stage": "Active"}
    assert revalidated(changed, if_none_match=None).headers["ETag"] != ETAG
