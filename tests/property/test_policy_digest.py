"""Laws of digest and identity, for any policy."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from learnops.api.policy import PolicySpec
from learnops.domain.policy.digest import canonical_json, digest, identity
from tests.property.resources import policy_specs


def parse(spec: dict[str, Any]) -> PolicySpec:
    return PolicySpec.model_validate(spec)


def shuffled(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(sorted(value)))
        return {key: shuffled(draw, value[key]) for key in keys}
    return [shuffled(draw, item) for item in value] if isinstance(value, list) else value


@st.composite
def reordered(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = draw(policy_specs())
    return spec, shuffled(draw, spec)


@given(reordered())
def test_the_order_of_keys_does_not_matter(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    spec, other = pair
    assert digest(parse(spec)) == digest(parse(other))


@given(policy_specs(), policy_specs())
def test_digests_are_equal_for_equal_specs_only(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (digest(parse(one)) == digest(parse(two))) == (one == two)


@given(policy_specs(), st.sampled_from(["9.9.9", "0.0.1-rc.1"]), st.sampled_from(["a", "b-2"]))
def test_name_and_place_are_no_content(spec: dict[str, Any], version: str, other: str) -> None:
    moved = {**spec, "version": version, "doerRef": {"name": other}, "parentRef": {"name": other}}
    assert identity(parse(moved)) == identity(parse(spec))


@given(policy_specs(), policy_specs())
def test_identities_differ_with_the_content(one: dict[str, Any], two: dict[str, Any]) -> None:
    content = [
        {key: spec[key] for key in spec if key not in ("version", "doerRef", "parentRef")}
        for spec in (one, two)
    ]
    assert (identity(parse(one)) == identity(parse(two))) == (content[0] == content[1])


@given(policy_specs())
def test_canonical_json_is_json(spec: dict[str, Any]) -> None:
    assert json.loads(canonical_json(spec)) == spec
