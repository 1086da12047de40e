"""Bundles from text to their scores, by ingest's own code."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from learnops.api.crl import CRL
from learnops.api.doer import DoerSpec, DoerStatus
from learnops.cli.inputs import InputError, document, first_of, is_utf8
from learnops.domain.bundle_limits import BODY_BYTES
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Yardsticks
from learnops.server.models import Bundle, RunAnswer
from learnops.server.scoring import answer, score_bundle


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One line: its score and who ran, or why it has none (naming the line and the field)."""

    answer: RunAnswer | None = None
    error: str | None = None
    policy: str = ""
    arm: str = ""

    def to_json(self) -> str:
        """The score as the api answers it, on one line."""
        assert self.answer is not None
        told = self.answer.model_dump(by_alias=True, exclude={"status"})
        return json.dumps(told, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores the bundles of one doer."""

    doer: str | None
    yardsticks: Yardsticks

    @classmethod
    def of(cls, path: Path) -> Self:
        """From a Doer's manifest, of which only `spec.crl` and `spec.phase` are read; and
        `status.crl` where the spec has no weights.

        Raises:
            InputError: it is no Doer, or its CRL is refused.
        """
        found = document(path, kind="Doer")
        spec, status = found.get("spec"), found.get("status")
        if not isinstance(spec, dict):
            raise InputError(f"{path}: spec: must be there, with crl in it")
        metadata = found.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return cls(doer=name, yardsticks=yardsticks(_crl(path, spec, status)))

    def scores(self, lines: Iterable[str]) -> Iterator[Scored]:
        """One result a line, in order; blank lines are none."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield self.score(number, line)

    def score(self, number: int, line: str) -> Scored:
        """The result of one line."""
        if len(line) > BODY_BYTES:
            return Scored(error=f"line {number}: has over {BODY_BYTES:,} characters")
        if not is_utf8(line):
            return Scored(error=f"line {number}: is not UTF-8")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return Scored(error=f"line {number}: is not JSON")
        if not isinstance(found, dict):
            return Scored(error=f"line {number}: is not a JSON object")
        try:
            bundle = Bundle.model_validate(self._completed(number, found))
            result = score_bundle(bundle, self.yardsticks.of(bundle.tenant))
        except ValidationError as error:
            return Scored(error=f"line {number}: {first_of(error)}")
        except InvalidMetric as error:
            return Scored(error=f"line {number}: {error}")
        told = answer(bundle.run_id, status="scored", result=result)
        return Scored(answer=told, policy=bundle.policy, arm=bundle.arm.value)

    def _completed(self, number: int, found: dict[str, Any]) -> dict[str, Any]:
        """With what a score does not depend on, where it was left out."""
        doer = self.doer or "doer"
        if found.get("doer", doer) != doer:
            raise InvalidMetric(
                field="doer", detail=f"is {found['doer']!r:.80}, these are the weights of {doer}"
            )
        left_out = {"namespace": "default", "doer": doer, "policy": "policy", "runId": str(number)}
        return {**left_out, **found}


@dataclass(kw_only=True)
class Summary:
    """What there was, at the end of a log."""

    scored: int = 0
    refused: int = 0
    partial: int = 0
    loss: float = 0.0
    missing: Counter[str] = field(default_factory=Counter)

    def add(self, one: Scored) -> None:
        """Count a line."""
        if one.answer is None:
            self.refused += 1
            return
        self.scored += 1
        self.loss += one.answer.loss
        self.partial += one.answer.partial
        self.missing.update(one.answer.missing)

    def sentence(self) -> str:
        """For a person."""
        if not self.scored:
            return f"no bundle was scored, {self.refused:,} refused"
        silent = ", ".join(f"{term} {count:,}" for term, count in self.missing.most_common(5))
        partial = f", {self.partial:,} partial (not reported: {silent})" if self.partial else ""
        refused = f", {self.refused:,} refused" if self.refused else ""
        return f"{self.scored:,} scored, mean loss {self.loss / self.scored:.3f}{partial}{refused}"


def table_line(one: Scored | None) -> str:
    """One row; None: the header."""
    if one is None:
        return f"{'RUN':<28} {'LOSS':>6}  {'PARTIAL':<8} MOST OF IT"
    assert one.answer is not None
    told = one.answer
    parts = sorted(told.contributions.items(), key=lambda it: -it[1])[:3]
    most = ", ".join(f"{term} {share:.3f}" for term, share in parts if share > 0)
    return f"{told.run_id:<28.28} {told.loss:>6.3f}  {'yes' if told.partial else 'no':<8} {most}"


def _crl(path: Path, spec: dict[str, Any], status: Any) -> CRL:
    """Raises InputError."""
    given = {"policyRef": {"name": "any"}, **spec}
    known = {"crl": status["crl"]} if isinstance(status, dict) and "crl" in status else {}
    try:
        crl = DoerSpec.model_validate(given).scoring(DoerStatus.model_validate(known))
    except ValidationError as error:
        raise InputError(f"{path}: spec.{first_of(error)}") from error
    if crl.weights is None:
        raise InputError(
            f"{path}: spec.crl.weights: must be there; a Doer that lives without has the weights "
            "that its runs gave it in status.crl (kubectl get doer -o yaml)"
        )
    return crl
