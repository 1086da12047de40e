"""What a run runs with."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

_HPARAMS = {
    "temperature": ("temperature", float),
    "topP": ("top_p", float),
    "topK": ("top_k", int),
    "maxTokens": ("max_tokens", int),
}


class Policy:
    """The content of a policy, as the agent uses it. Each access gives a copy of its own, so that
    an agent which edits its prompt does not edit that of the next run."""

    __slots__ = ("_hparams", "_prompts", "digest", "model", "name", "tools_allowlist", "version")

    def __init__(
        self,
        *,
        name: str = "",
        version: str = "",
        digest: str = "",
        prompts: Mapping[str, Any] | None = None,
        model: str | None = None,
        hparams: Mapping[str, float] | None = None,
        tools_allowlist: tuple[str, ...] | None = None,
    ) -> None:
        """Args are in the form in which the properties give them back."""
        self.name = name
        self.version = version
        self.digest = digest
        self.model = model
        self.tools_allowlist = tools_allowlist
        self._prompts = dict(prompts or {})
        self._hparams = dict(hparams or {})

    @property
    def prompts(self) -> dict[str, Any]:
        """`system`, and `few_shot` (a list of {"input", "output"}) where the policy has any; made
        to be handed on as keyword arguments."""
        return deepcopy(self._prompts)

    @property
    def hparams(self) -> dict[str, float]:
        """`temperature`, `top_p`, `top_k`, `max_tokens`, as far as the policy sets them."""
        return dict(self._hparams)

    def __repr__(self) -> str:
        return f"Policy(name={self.name!r}, version={self.version!r}, digest={self.digest!r})"

    @classmethod
    def from_wire(cls, name: str, content: Mapping[str, Any]) -> Self:
        """From a snapshot, or from the `spec` of a Policy manifest.

        Raises:
            ValueError: the content is not shaped like a policy.
        """
        try:
            return cls(
                name=name,
                version=str(content.get("version") or ""),
                digest=str(content.get("digest") or ""),
                prompts=_prompts(content.get("prompts")),
                model=_model(content.get("models")),
                hparams=_hparams(content.get("hparams")),
                tools_allowlist=_tools(content.get("toolsAllowlist")),
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"the content of policy {name!r} is malformed: {error!r}") from error


def _prompts(content: Mapping[str, Any] | None) -> dict[str, Any]:
    variants = (content or {}).get("variants") or []
    if not variants:
        return {}
    prompts: dict[str, Any] = {"system": str(variants[0]["system"])}
    if examples := variants[0].get("fewShot"):
        prompts["few_shot"] = [
            {"input": str(example["input"]), "output": str(example["output"])}
            for example in examples
        ]
    return prompts


def _model(content: Mapping[str, Any] | None) -> str | None:
    variants = (content or {}).get("variants") or []
    return str(variants[0]["model"]) if variants else None


def _hparams(content: Mapping[str, Any] | None) -> dict[str, float]:
    given = content or {}
    return {
        name: kind(given[key])
        for key, (name, kind) in _HPARAMS.items()
        if given.get(key) is not None
    }


def _tools(content: list[str] | None) -> tuple[str, ...] | None:
    return None if content is None else tuple(str(tool) for tool in content)


def document(policy: Policy) -> dict[str, Any]:
    """A policy for readers in other languages; what it does not set is absent.

    `name`, `version`, `digest`, `model`, `prompts` (`system`, `fewShot`), `hparams` (`temperature`,
    `topP`, `topK`, `maxTokens`) and `toolsAllowlist`, as a Policy manifest calls them.
    """
    prompts, hparams = policy.prompts, policy.hparams
    told: dict[str, Any] = {
        "name": policy.name,
        "version": policy.version,
        "digest": policy.digest,
        "prompts": {("fewShot" if name == "few_shot" else name): prompts[name] for name in prompts},
        "hparams": {key: hparams[name] for key, (name, _) in _HPARAMS.items() if name in hparams},
    }
    if policy.model is not None:
        told["model"] = policy.model
    if policy.tools_allowlist is not None:
        told["toolsAllowlist"] = list(policy.tools_allowlist)
    return told
