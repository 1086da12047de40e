"""What files tell `learnops run`: a bundle that a command wrote, and a policy to fall back on."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learnops.cli.child import Ended
from learnops.client import Policy
from learnops.client.bundle import Outcome
from learnops.client.given import given_policy
from learnops.domain.bundle_limits import (
    BODY_BYTES,
    MAX_AMOUNT,
    MAX_ARTIFACTS,
    MAX_ENTRIES,
    MAX_GATES,
    MAX_LABEL,
    UnstorableError,
    is_label,
    storable,
)
from learnops.domain.crl.score import BundleMetrics, Gate, read_terms
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Budget

_COMPLETED = "completed"
_GATE_PASS_RATE = "gatePassRate"  # noqa: S105 - a metric, no password
_SECTIONS: Mapping[str, type[Any]] = {
    "metrics": dict,
    "gates": list,
    "costs": dict,
    "qav": dict,
    "artifacts": list,
    "budget": dict,
    "signals": dict,
}
_BUDGETS = ("maxCostUSD", "maxDurationMilliseconds")
_MAX_BYTES = BODY_BYTES - 4096  # the run's own part of a bundle needs some room
# One less than the api takes where `outcome` adds one of its own.
_MOST: Mapping[str, int] = {
    "metrics": MAX_ENTRIES - 1,
    "gates": MAX_GATES - 1,
    "qav": MAX_ENTRIES - 1,
    "artifacts": MAX_ARTIFACTS,
}


class ToldError(Exception):
    """A file that is not what it should be; the message names the field and the way out."""


def outcome(path: Path, ended: Ended) -> tuple[Outcome, str | None]:
    """What to report of a command that ended, and what is wrong with the bundle that it wrote.

    A command that failed passes no gate. One that succeeded and says nothing of gates has passed
    one: that it completed.
    """
    told, problem = {}, None
    try:
        told = _bundle(path)
    except ToldError as error:
        problem = str(error)
    metrics, gates = dict(told.get("metrics", {})), list(told.get("gates", []))
    qav = dict(told.get("qav", {}))
    if ended.code != 0:
        gates.append({"name": _COMPLETED, "passed": False})
        metrics[_GATE_PASS_RATE] = 0.0
        qav["exitCode"] = ended.code
    elif not gates and _GATE_PASS_RATE not in metrics:
        gates.append({"name": _COMPLETED, "passed": True})
    if problem is not None:
        qav["bundleProblem"] = problem[:500]
    said = Outcome(
        metrics=metrics,
        gates=gates,
        costs=told.get("costs"),
        qav=qav,
        artifacts=told.get("artifacts"),
        budget=told.get("budget"),
        signals=told.get("signals"),
        duration_milliseconds=ended.milliseconds,
    )
    return said, problem


def fallback_policy(path: Path) -> Policy:
    """The Policy of a manifest, JSON or (with PyYAML) YAML; raises ToldError."""
    try:
        text = _read(path, links=True)  # a mounted ConfigMap is made of links
        if not text:
            raise ToldError("is not there or empty")
        manifest = _manifest(text)
        if not isinstance(manifest, dict) or manifest.get("kind") != "Policy":
            raise ToldError("must be one manifest of kind Policy")
        return given_policy(manifest, field="manifest")
    except (ToldError, ValueError) as error:
        raise ToldError(f"--fallback {path}: {error}") from error


def _manifest(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        from learnops.cli.manifests import NotYAMLError, documents_of
    except ImportError as error:
        raise ToldError("must be JSON, as PyYAML is not installed") from error
    try:
        found = [it for it in documents_of(text) if it is not None]
    except NotYAMLError as error:
        raise ToldError(f"must be one manifest, YAML or JSON: {error}") from error
    return found[0] if len(found) == 1 else None


def _bundle(path: Path) -> dict[str, Any]:
    """The sections that a command wrote; empty where it wrote none. Raises ToldError."""
    text = _read(path)
    if not text.strip():
        return {}
    try:
        told = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ToldError(f"is no JSON ({error})") from error
    if not isinstance(told, dict):
        raise ToldError("must be an object")
    said = _sections(told)
    _check_gates(said.get("gates", []))
    _check_objects(said.get("artifacts", []))
    _check_terms(said)
    _check_budget(said.get("budget", {}))
    return said


def _sections(told: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are there; null is none, as for the SDK, for a tool writes it of what it lacks."""
    said: dict[str, Any] = {}
    for name, value in told.items():
        kind = _SECTIONS.get(name)
        if kind is None:
            raise ToldError(f"{name!r:.80}: must be one of {', '.join(_SECTIONS)}")
        if value is None:
            continue
        if not isinstance(value, kind):
            raise ToldError(f"{name}: must be {'an object' if kind is dict else 'a list'}")
        _check_size(name, value)
        _check_content(name, value)
        said[name] = value
    return said


def _read(path: Path, *, links: bool = False) -> bytes:
    """The content of a plain file; empty where there is none. Raises ToldError."""
    try:
        # A pipe must not hold us up, nor a link that an agent made lead to another file.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW))
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ToldError(f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ToldError("must be a plain file")
    with os.fdopen(file, "rb") as opened:
        text = opened.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ToldError(f"must have at most {_MAX_BYTES:,} bytes")
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _check_size(section: str, value: dict[str, Any] | list[Any]) -> None:
    most = _MOST.get(section, MAX_ENTRIES)
    if len(value) > most:
        raise ToldError(f"{section}: must have at most {most} entries")
    for name in value if isinstance(value, dict) else ():
        _check_name(f"{section}.{name!r:.80}", name)


def _check_name(field: str, name: Any) -> None:
    if not is_label(name):
        most = f"1 to {MAX_LABEL} characters, no control characters among them"
        raise ToldError(f"{field}: must be a name of {most}")


def _check_content(section: str, value: Any) -> None:
    try:
        storable(value)
    except UnstorableError as error:
        raise ToldError(f"{section + error.path:.80}: {error}") from error


def _check_gates(gates: list[Any]) -> None:
    for place, gate in enumerate(gates):
        if not isinstance(gate, dict) or set(gate) != {"name", "passed"}:
            raise ToldError(f"gates[{place}]: must be an object of name and passed")
        _check_name(f"gates[{place}].name", gate["name"])
        if not isinstance(gate["passed"], bool):
            raise ToldError(f"gates[{place}].passed: must be true or false")


def _check_budget(budget: Mapping[str, Any]) -> None:
    if unknown := set(budget) - {*_BUDGETS}:
        raise ToldError(f"budget.{min(unknown)}: must be one of {', '.join(_BUDGETS)}")
    for name, most in budget.items():
        if most is not None and most > MAX_AMOUNT:
            raise ToldError(f"budget.{name}: must be at most {MAX_AMOUNT:g}")


def _check_objects(artifacts: list[Any]) -> None:
    for place, artifact in enumerate(artifacts):
        if not isinstance(artifact, dict):
            raise ToldError(f"artifacts[{place}]: must be an object")


def _check_terms(told: Mapping[str, Any]) -> None:
    """By the code that ingest scores with, which would refuse the run."""
    bundle = BundleMetrics(
        metrics=told.get("metrics", {}),
        costs=told.get("costs", {}),
        budget=told.get("budget", {}),
        gates=[Gate(name=gate["name"], passed=gate["passed"]) for gate in told.get("gates", [])],
    )
    try:
        read_terms(bundle, Budget())
    except InvalidMetric as error:
        raise ToldError(f"{error.field}: {error.detail}") from error
