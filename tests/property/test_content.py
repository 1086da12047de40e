"""What is stored of a bundle, and hashed, is what pydantic's own dump of it comes to."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.server.models import Bundle, LargeBundle
from learnops.server.rows import content_of

HEAD = {"namespace": "agents", "doer": "planner", "runId": "r", "policy": "planner-v1"}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
JSON = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
LABELS = st.text("aZ -_.é", min_size=1, max_size=6)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "qav": st.dictionaries(LABELS, JSON, max_size=3),
        "artifacts": st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=3),
        "metrics": st.dictionaries(LABELS, NUMBERS, max_size=3),
        "gates": st.lists(st.just({"name": "compiles", "passed": True}), max_size=2),
        "budget": st.just({"maxCostUSD": 0.5}),
        "arm": st.sampled_from(["control", "candidate"]),
        "tenant": st.just("acme"),
    },
)


@pytest.mark.parametrize("kind", [Bundle, LargeBundle])
@given(fields=FIELDS)
def test_the_content_is_the_whole_bundle(kind: type[Bundle], fields: dict[str, Any]) -> None:
    bundle = kind.model_validate(HEAD | fields)
    told = bundle.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert json.loads(content_of(bundle)) == told
    try:
        wanted = orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # an integer of over 64 bits, which another writer spells
        return
    assert content_of(bundle) == wanted
