"""From a scored bundle to the row that is stored, and from a stored row to its answer."""

import hashlib
import json
from math import fsum
from typing import Any, Final

import orjson

from learnops.adapters.postgres.runs import Registration, RunRow, StoredRun
from learnops.adapters.postgres.signals import RunSignals
from learnops.domain.assignment import Arm
from learnops.domain.crl.score import CRLResult
from learnops.server.models import Bundle, RunAnswer

_FREE: Final = {"qav", "artifacts"}


def row_of(
    bundle: Bundle,
    *,
    registration: Registration | None,
    result: CRLResult,
    signals: RunSignals | None = None,
    content: str | None = None,
) -> RunRow:
    """The row to store. What was registered stands over what the bundle says; `content` is its
    canonical JSON, where that was made before.

    A bundle that says control with propensity 0 tells that the registration came too late for its
    agent: the run is stored as what it was, and its registration is voided.
    """
    content = content_of(bundle) if content is None else content
    said_so = {"arm", "propensity"} <= bundle.model_fields_set
    late = said_so and bundle.arm is Arm.CONTROL and bundle.propensity == 0.0
    drawn = bundle if registration is None or late else registration
    cost = bundle.costs.get("costUSD")
    return RunRow(
        namespace=bundle.namespace,
        run_id=bundle.run_id,
        doer=bundle.doer,
        policy=drawn.policy,
        arm=str(drawn.arm),
        propensity=drawn.propensity,
        revision=drawn.revision,
        rollout=None if registration is None else registration.rollout,
        tenant=bundle.tenant,
        duration_milliseconds=bundle.duration_milliseconds,
        cost_usd=None if cost is None else float(cost),
        bundle=content,
        content_hash=hash_of(content),
        loss=result.loss,
        weights=orjson.dumps({line.term: line.weight for line in result.contributions}).decode(),
        breakdown=orjson.dumps(breakdown_of(result)).decode(),
        partial=result.partial,
        void=late and registration is not None,
        terms=dict(result.terms),
        signals=signals,
    )


def content_of(bundle: Bundle) -> str:
    """The bundle as canonical JSON: what is stored, and what two reports of a run must share."""
    told = bundle.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_FREE)
    # As they came: they were JSON, and walking through them again takes longer than all the rest.
    told |= {name: getattr(bundle, name) for name in _FREE & bundle.model_fields_set}
    try:
        return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # an integer of over 64 bits
        return _first_canonical(told)


def hash_of(content: str) -> bytes:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(content.encode()).digest()


def is_hash_of(stored: bytes, content: str) -> bool:
    """Whether a stored run has this content. Rows of the first version have another hash of it."""
    if stored == hash_of(content):
        return True
    return stored == hash_of(_first_canonical(json.loads(content)))


def _first_canonical(told: Any) -> str:
    """Other texts for numbers and letters beyond ASCII; several times as slow."""
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def stored_answer(run_id: str, *, status: str, run: StoredRun) -> RunAnswer:
    """The same, from what is stored."""
    return RunAnswer(
        run_id=run_id,
        status=status,
        loss=run.loss,
        terms=run.breakdown["terms"],
        weights=run.weights,
        contributions=run.breakdown["contributions"],
        partial=run.partial,
        missing=run.breakdown["missing"],
    )


def crl_of(run: StoredRun) -> float:
    """The weighted sum L; its loss is L / Σw, so that L is the loss times the sum of weights."""
    return run.loss * fsum(run.weights.values())


def breakdown_of(result: CRLResult) -> dict[str, Any]:
    """Terms, contributions and what is missing, as stored."""
    return {
        "terms": dict(result.terms),
        "contributions": {line.term: line.share for line in result.contributions},
        "missing": list(result.missing),
    }
