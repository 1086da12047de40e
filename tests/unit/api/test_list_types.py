"""Sets and maps: the models refuse what the API server refuses."""

import pytest
from pydantic import ValidationError

from learnops.api.policy import PolicySpec
from learnops.api.served import TrafficStatus


def test_a_set_has_no_item_twice() -> None:
    spec = {"doerRef": {"name": "d"}, "version": "1.0.0"}
    assert PolicySpec.model_validate({**spec, "toolsAllowlist": ["a", "b"]})
    with pytest.raises(ValidationError, match="must not have the same item twice"):
        PolicySpec.model_validate({**spec, "toolsAllowlist": ["a", "b", "a"]})


def test_a_map_has_no_key_twice() -> None:
    half = {"policy": "p1", "percent": 50}
    other = {"policy": "p2", "percent": 50}
    assert TrafficStatus.model_validate({"revision": 1, "active": "p1", "shares": [half, other]})
    with pytest.raises(ValidationError, match="must not have the same item twice"):
        TrafficStatus.model_validate({"revision": 1, "active": "p1", "shares": [half, half]})
