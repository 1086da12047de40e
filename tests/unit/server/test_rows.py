"""The canonical content of a bundle, and rows that an earlier version stored."""

import hashlib
import json

import pytest

from learnops.server.models import Bundle
from learnops.server.rows import content_of, hash_of, is_hash_of

HEAD = {"namespace": "agents", "doer": "planner", "runId": "r", "policy": "planner-v1"}


def bundle(**given: object) -> Bundle:
    return Bundle.model_validate({**HEAD, **given})


def test_the_order_and_the_spelling_of_names_make_no_other_content() -> None:
    one = bundle(costs={"costUSD": 1.5, "tokens": 7}, durationMilliseconds=3)
    other = bundle(durationMilliseconds=3.0, costs={"tokens": 7, "costUSD": 1.5})
    assert content_of(one) == content_of(other)
    assert json.loads(content_of(one)) == {
        **HEAD,
        "costs": {"costUSD": 1.5, "tokens": 7},
        "durationMilliseconds": 3.0,
    }


@pytest.mark.parametrize(
    "qav",
    [{"note": "Grüße, 東京"}, {"tiny": 1e-7, "huge": 1e22}, {"plain": 1}, {"long": 2**70}],
)
def test_a_row_of_the_first_version_has_the_same_content(qav: dict[str, object]) -> None:
    content = content_of(bundle(qav=qav))
    assert json.loads(content)["qav"] == qav
    told = {**HEAD, "qav": qav}
    first = json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert is_hash_of(hashlib.sha256(first.encode()).digest(), content)
    assert is_hash_of(hash_of(content), content)
    assert not is_hash_of(hash_of(content_of(bundle(qav={}))), content)
