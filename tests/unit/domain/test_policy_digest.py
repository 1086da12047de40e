"""Digest and identity: normative vectors, and what belongs to which."""

import json
from pathlib import Path
from typing import Any

import pytest

from learnops.api.crdgen.resource import root_schema
from learnops.api.policy import Policy, PolicySpec
from learnops.domain.policy.digest import canonical_json, digest, identity

VECTORS = json.loads((Path(__file__).parent / "policy_digest_vectors.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_digest_and_identity_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    spec = PolicySpec.model_validate(vector["spec"])
    assert canonical_json(vector["spec"]).decode() == vector["canonicalJSON"]
    assert digest(spec) == vector["digest"]
    assert identity(spec) == vector["identity"]


def test_a_field_that_is_not_set_does_not_count() -> None:
    """What a later version adds with a default leaves old digests alone."""
    base = {"doerRef": {"name": "d"}, "version": "1.0.0"}
    prompt = {"name": "base", "system": "Plan."}
    set_ = {**base, "prompts": {"variants": [{**prompt, "fewShot": []}]}}
    unset = {**base, "prompts": {"variants": [prompt]}}
    assert PolicySpec.model_validate(set_) == PolicySpec.model_validate(unset)
    assert digest(PolicySpec.model_validate(set_)) != digest(PolicySpec.model_validate(unset))


def test_an_absent_allowlist_is_not_an_empty_one() -> None:
    base = {"doerRef": {"name": "d"}, "version": "1.0.0"}
    none_allowed = PolicySpec.model_validate({**base, "toolsAllowlist": []})
    assert identity(none_allowed) != identity(PolicySpec.model_validate(base))


def test_the_schema_sets_nothing_in_a_policy_by_default() -> None:
    spec = root_schema(Policy)["properties"]["spec"]
    assert "parentRef" in spec["properties"]
    assert '"default"' not in json.dumps(spec)


def test_floats_have_no_canonical_form() -> None:
    with pytest.raises(TypeError, match="float"):
        canonical_json({"a": [{"b": 0.5}]})
