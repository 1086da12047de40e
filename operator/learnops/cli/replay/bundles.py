"""A replay of exported bundles: scored by one Doer and by another."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from learnops.cli.inputs import InputError
from learnops.cli.replay.report import Progress, Report
from learnops.cli.replay.target import Target
from learnops.cli.scored import Scored, Scorer
from learnops.domain.crl.whatif import Tally
from learnops.domain.crl.yardstick import Yardsticks
from learnops.server.models import RunAnswer

_PARTS = ("metrics", "costs", "gates", "runId")
_NO_VERDICT = "bundles tell nothing of the order in which runs were registered: no canary is judged"


def is_one(line: str) -> bool:
    """Whether a line is a bundle; a log that was scored has a loss in each."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "loss" not in found and any(it in found for it in _PARTS)


def replay(lines: Iterable[str], target: Target, *, scored_by: Path, tell: Progress) -> Report:
    """Score each bundle twice, by ingest's own code.

    Raises:
        InputError: a line that is no bundle, by its number and field; or a Doer that is refused.
    """
    before = Scorer.of(scored_by)
    after = replace(before, yardsticks=_completed(target, before.yardsticks))
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        old, new = before.score(number, line), after.score(number, line)
        tallies[old.policy, old.arm].add_one(_told(old), _told(new))
        tell(f"{number:,} bundles scored")
    return Report(groups=list(tallies), tallies=list(tallies.values()), notes=[_NO_VERDICT])


def _completed(target: Target, before: Yardsticks) -> Yardsticks:
    """With `--weights` alone the budgets of before stay."""
    if target.whole:
        return target.yardsticks
    return Yardsticks(base=replace(before.base, weights=target.yardsticks.base.weights))


def _told(found: Scored) -> RunAnswer:
    if found.answer is None:
        raise InputError(found.error or "no bundle")
    return found.answer
