"""What a run reports, as the bytes that travel."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnops.client.assignment import Assignment
from learnops.client.details import Details
from learnops.client.quality import usable
from learnops.client.telemetry import Telemetry
from learnops.domain.bundle_limits import BODY_BYTES

_RUN_ID = re.compile(rb'"runId": ?("(?:[^"\\]|\\.)*")')
_HEAD_BYTES = 4096  # the id stands behind namespace and doer, before all that may be long
_WEIGHTY = ("artifacts", "qav")


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
        details = Details(telemetry)
        duration = self.duration_milliseconds
        numbers = {
            "metrics": details.numbers("metrics", self.metrics),
            "costs": details.numbers("costs", self.costs, recorded=costs),
        }
        budget = details.budget(self.budget, numbers)
        sections = {
            "durationMilliseconds": elapsed_milliseconds
            if duration is None
            else details.duration(duration),
            **numbers,
            "gates": details.gates(self.gates),
            "qav": details.free("qav", self.qav),
            "artifacts": details.artifacts(self.artifacts),
        }
        if budget:
            sections["budget"] = budget
        # A bad one is left out here: the api would refuse the run for it.
        if kept := usable(details.named("signals", self.signals), telemetry=telemetry):
            sections["signals"] = kept
        details.conclude()
        return sections


def encode(
    sections: Mapping[str, Any],
    *,
    identity: Mapping[str, str],
    assignment: Assignment,
    tenant: str | None,
    telemetry: Telemetry,
) -> bytes:
    """One bundle. Over 1 MiB it goes without artifacts, then without `qav`: neither is scored, and
    without them what there may be of the others always fits."""
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
    kept = dict(sections)
    bundle = _json({**head, **kept})
    for name in _WEIGHTY:
        if len(bundle) <= BODY_BYTES:
            break
        if kept.pop(name, None):
            telemetry.count("sections_dropped")
            telemetry.warn(
                f"size {name}", "%s of a run was left out: the bundle was over 1 MiB", name
            )
            bundle = _json({**head, **kept})
    return bundle


def reported(runs: Iterable[str], bundles: Iterable[bytes]) -> set[str]:
    """Those of the runs that one of these encoded bundles reports."""
    wanted = {_json(run): run for run in runs}
    heads = (_RUN_ID.search(bundle, 0, _HEAD_BYTES) for bundle in bundles)
    return {wanted[head[1]] for head in heads if head is not None and head[1] in wanted}


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
