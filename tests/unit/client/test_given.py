"""A policy that a person wrote down: taken whole, or refused by the name of the field."""

from typing import Any

import pytest

from learnops.client.given import given_policy

SPEC: dict[str, Any] = {
    "doerRef": {"name": "planner"},
    "version": "1.0.0",
    "prompts": {"variants": [{"name": "base", "system": "Plan."}]},
    "models": {"variants": [{"name": "small", "model": "model-1"}]},
    "hparams": {"temperature": "0.6"},
    "toolsAllowlist": ["search"],
}
MANIFEST = {
    "apiVersion": "learnops.dev/v1alpha1",
    "kind": "Policy",
    "metadata": {"name": "planner-v1"},
    "spec": SPEC,
}


@pytest.mark.parametrize(("told", "name"), [(SPEC, ""), (MANIFEST, "planner-v1")])
def test_a_manifest_or_its_spec(told: dict[str, Any], name: str) -> None:
    policy = given_policy(told, field="default_policy")
    assert (policy.name, policy.version, policy.model) == (name, "1.0.0", "model-1")
    assert (policy.prompts, policy.hparams) == ({"system": "Plan."}, {"temperature": 0.6})
    assert policy.tools_allowlist == ("search",)


KNOWN = "digest, doerRef, hparams, models, parentRef, prompts, toolsAllowlist, version"
WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"system": "Plan.", "model": "model-1"},
        f"p has model, system, which no policy has; it must have some of {KNOWN}",
    ),
    (
        {"prompts": {"system": "Plan."}},
        "p.prompts has system, which no policy has; it must have some of variants",
    ),
    (
        {**MANIFEST, "spec": {"hparams": {"top_p": "0.9"}}},
        "p.spec.hparams has top_p, which no policy has; it must have some of "
        "maxTokens, temperature, topK, topP",
    ),
    ({"models": "model-1"}, "p.models must be a mapping with variants"),
    ({**MANIFEST, "kind": "Doer"}, "p.kind is 'Doer' and must be Policy"),
    ({"spec": SPEC}, "p.kind is None and must be Policy"),
    ({"kind": "Policy", "spec": SPEC}, "p.metadata.name must be the name of the policy"),
    (
        {"kind": "Policy", "metadata": {"name": "a"}},
        f"p.spec must be a mapping with {KNOWN}",
    ),
]


@pytest.mark.parametrize(("told", "message"), WRONG)
def test_what_is_no_policy_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        given_policy(told, field="p")
    assert str(refused.value) == message
