"""Of the room for bodies one namespace gets half, so that it cannot keep the others out."""

from contextlib import ExitStack

import pytest

from learnops.server.admission import Admission, AdmissionLimits
from learnops.server.problems import Problem

REPORTS = "/v1/runs"
OTHERS = "/v1/assignments"
LIMITS = AdmissionLimits(report_bytes=100, other_bytes=40)


@pytest.mark.parametrize(("path", "half"), [(REPORTS, 50), (OTHERS, 20)])
def test_one_namespace_gets_half_and_room_comes_back(path: str, half: int) -> None:
    admission = Admission(LIMITS)
    with admission.body(path, whose="a") as first:
        first.add(half - 1)
        with admission.body(path, whose="a") as second:
            second.add(1)
            with pytest.raises(Problem) as refused, admission.body(path, whose="a"):
                pass
            assert (refused.value.status, refused.value.retry_after) == (429, 1)
            with admission.body(path, whose="b") as others:
                others.add(half - 1)
            first.add(half)  # who is alone with what is left may always end
        with admission.body(path, whose="b") as others:
            others.add(1)
    with admission.body(path, whose="a") as again:
        again.add(half)


def test_several_together_get_no_more_than_there_is() -> None:
    admission = Admission(LIMITS)
    with ExitStack() as inside:
        for whose in ("a", "b", "c"):
            inside.enter_context(admission.body(REPORTS, whose=whose)).add(34)
        with pytest.raises(Problem), admission.body(REPORTS, whose="d"):
            pass
    assert admission.queues["bodyBytes"].waiting() == 0
