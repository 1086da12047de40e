"""Roll-back with guardrails: one test on the weighted mean of e-values.

A weighted mean of e-values is an e-value, so one threshold covers all of them and no correction is
due (Vovk and Wang, arXiv 1912.06116). One composite hides a broken term: a term that goes from 0.05
to 0.15 moves the loss little and its own e-value much.
"""

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.hypotheses import Floats
from learnops.domain.evidence.levels import LOSS_WEIGHT


def weighted_rollback(
    log_e: Floats, *, guardrails: slice
) -> tuple[Floats, NDArray[np.intp] | None]:
    """Put the weighted mean in place of the loss's own roll-back e-value.

    Args:
        log_e: (H, B), the first row the loss's roll-back test.
        guardrails: the rows of the guardrails' roll-back tests; empty: nothing changes.

    Returns:
        ``log_e`` with its first row replaced, and per block which column (0 the loss, k the k-th
        guardrail) has the largest part in the mean; None without guardrails.
    """
    count = guardrails.stop - guardrails.start
    if not count:
        return log_e, None
    parts = np.concatenate((log_e[:1], log_e[guardrails]))
    parts[0] += np.log(LOSS_WEIGHT)
    parts[1:] += np.log((1.0 - LOSS_WEIGHT) / count)
    mixed = log_e.copy()
    mixed[0] = np.logaddexp.reduce(parts)
    return mixed, parts.argmax(axis=0)
