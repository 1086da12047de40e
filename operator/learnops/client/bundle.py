"""What a run reports, as the bytes that travel."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnops.client.assignment import Assignment
from learnops.client.quality import usable
from learnops.client.telemetry import Telemetry

_RUN_ID = re.compile(rb'"runId": ?("(?:[^"\\]|\\.)*")')
_HEAD_BYTES = 4096  # the id stands behind namespace and doer, before all that may be long


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
            "metrics": _named("metrics", self.metrics, telemetry),
            "gates": _listed("gates", self.gates, telemetry),
            "costs": {**costs, **_named("costs", self.costs, telemetry)},
            "qav": _named("qav", self.qav, telemetry),
            "artifacts": _listed("artifacts", self.artifacts, telemetry),
        }
        if budget := _named("budget", self.budget, telemetry):
            sections["budget"] = budget
        # A bad one is left out here: the api would refuse the run for it.
        if kept := usable(_named("signals", self.signals, telemetry), telemetry=telemetry):
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
    except Exception:  # noqa: BLE001 - as in _encodable, which finds the section
        return _json({**head, **_encodable(sections, telemetry)})


def reported(runs: Iterable[str], bundles: Iterable[bytes]) -> set[str]:
    """Those of the runs that one of these encoded bundles reports."""
    wanted = {_json(run): run for run in runs}
    heads = (_RUN_ID.search(bundle, 0, _HEAD_BYTES) for bundle in bundles)
    return {wanted[head[1]] for head in heads if head is not None and head[1] in wanted}


def _named(name: str, given: object, telemetry: Telemetry) -> dict[str, Any]:
    """A section of names and values; empty, and counted, where the agent gave something else."""
    if given is None:
        return {}
    try:
        if isinstance(given, Mapping):
            return dict(given)
    except Exception as error:  # noqa: BLE001 - the agent's own type, and the run must be reported
        _drop(name, type(error).__name__, telemetry)
        return {}
    _drop(name, f"{type(given).__name__} must be a mapping of names to values", telemetry)
    return {}


def _listed(name: str, given: object, telemetry: Telemetry) -> list[Any]:
    """A section that is a list, likewise."""
    if given is None:
        return []
    if isinstance(given, list | tuple):
        return list(given)
    _drop(name, f"{type(given).__name__} must be a list or a tuple", telemetry)
    return []


def _drop(name: str, why: object, telemetry: Telemetry) -> None:
    telemetry.count("sections_dropped")
    telemetry.warn(f"encode {name}", "%s of a run is no JSON and was left out: %s", name, why)


def _encodable(sections: Mapping[str, Any], telemetry: Telemetry) -> dict[str, Any]:
    good: dict[str, Any] = {}
    for name, value in sections.items():
        try:
            _json(value)
        except Exception as error:  # noqa: BLE001 - an array library's `item` may raise anything
            _drop(name, error, telemetry)
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
