"""What a person has written down: a policy for when the api was never reached, and prices."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from learnops.client.policy import Policy

if TYPE_CHECKING:
    from learnops.client.prices import Amount, Prices

# As in a Policy manifest; `digest` is in what the api tells of one.
_SPEC = (
    "digest",
    "doerRef",
    "hparams",
    "models",
    "parentRef",
    "prompts",
    "toolsAllowlist",
    "version",
)
_PARTS: Mapping[str, tuple[str, ...]] = {
    "hparams": ("maxTokens", "temperature", "topK", "topP"),
    "models": ("variants",),
    "prompts": ("variants",),
}


def given_policy(told: Mapping[str, Any], *, field: str) -> Policy:
    """From a manifest of kind Policy, or from its `spec`, which has no name.

    Raises:
        ValueError: naming the field below `field` that is not one of a policy: what is misspelled
            would be left out in silence.
    """
    if "spec" not in told and "kind" not in told:
        return _from_spec("", told, field=field)
    if told.get("kind") != "Policy":
        raise ValueError(f"{field}.kind is {told.get('kind')!r:.60} and must be Policy")
    metadata = told.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{field}.metadata.name must be the name of the policy")
    return _from_spec(name, told.get("spec"), field=f"{field}.spec")


def given_prices(table: "Mapping[str, Mapping[str, Amount]]") -> "Prices":
    """Prices by the name of the model. Raises ValueError."""
    # Here and not above: most agents state none, and fractions take a while to load.
    from learnops.client.prices import Prices

    return Prices.of(table)


def _from_spec(name: str, spec: object, *, field: str) -> Policy:
    found = _mapping(spec, known=_SPEC, field=field)
    for part, known in _PARTS.items():
        if found.get(part) is not None:
            _mapping(found[part], known=known, field=f"{field}.{part}")
    return Policy.from_wire(name, found)


def _mapping(value: object, *, known: tuple[str, ...], field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{field} must be a mapping with {', '.join(known)}")
    unknown = sorted(f"{name!s:.60}" for name in value if name not in known)
    if unknown:
        raise ValueError(
            f"{field} has {', '.join(unknown[:5])}, which no policy has; it must have some of "
            f"{', '.join(known)}"
        )
    return value
