"""What a run reports, as the bytes that travel."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnops.client.assignment import Assignment
from learnops.client.signals import usable
from learnops.client.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went; see `Run.finish`."""

    metrics: Mapping[str, Any] | None = None
    gates: Sequence[Mapping[str, Any]] | None = None
    costs: Mapping[str, Any] | None = None
    qav: Mapping[str, Any] | None = None
    artifacts: Sequence[Mapping[str, Any]] | None = None
    budget: Mapping[str, Any] | None = None
    signals: Mapping[str, float | bool] | None = None
    duration_milliseconds: float | None = None

    def sections(
        self, *, elapsed_milliseconds: float, costs: Mapping[str, Any], telemetry: Telemetry
    ) -> dict[str, Any]:
        """The parts of a bundle; `costs` is what was added up, which the agent's own overrides."""
        duration = self.duration_milliseconds
        sections = {
            "durationMilliseconds": elapsed_milliseconds if duration is None else duration,
            "metrics": self.metrics or {},
            "gates": self.gates or [],
            "costs": {**costs, **(self.costs or {})},
            "qav": self.qav or {},
            "artifacts": self.artifacts or [],
        }
        if self.budget:
            sections["budget"] = self.budget
        # A bad one is left out here: the api would refuse the run for it.
        kept = usable(self.signals, telemetry=telemetry) if self.signals else {}
        if kept:
            sections["signals"] = kept
        return sections


def encode(
    sections: Mapping[str, Any],
    *,
    identity: Mapping[str, str],
    assignment: Assignment,
    tenant: str | None,
    telemetry: Telemetry,
) -> bytes:
    """One bundle. A section that is no JSON is left out, counted and named: a run with some of its
    metrics is better than none."""
    head: dict[str, Any] = {
        **identity,
        "runId": assignment.run_id,
        "policy": assignment.policy.name,
        "arm": assignment.arm,
        "propensity": assignment.propensity,
        "revision": assignment.revision,
    }
    if assignment.rollout is not None:
        head["rollout"] = assignment.rollout
    if tenant is not None:
        head["tenant"] = tenant
    try:
        return _json({**head, **sections})
    except (TypeError, ValueError, RecursionError):
        return _json({**head, **_encodable(sections, telemetry)})


def _encodable(sections: Mapping[str, Any], telemetry: Telemetry) -> dict[str, Any]:
    good: dict[str, Any] = {}
    for name, value in sections.items():
        try:
            _json(value)
        except (TypeError, ValueError, RecursionError) as error:
            telemetry.count("sections_dropped")
            telemetry.warn(
                f"encode {name}", "%s of a run is no JSON and was left out: %s", name, error
            )
        else:
            good[name] = value
    return good


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Numbers of array libraries have `item`; everything else is not for JSON."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        return item()
    raise TypeError(f"{type(value).__name__} is not JSON")
