"""What a bundle may hold: kept at each bound, refused one beyond, and told where it is."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from learnops.domain import bundle_limits as limits
from learnops.domain.bundle_limits import UnstorableError, is_label, storable
from learnops.server.limits import BATCH_BODY_BYTES
from learnops.server.models import Bundle

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http-api.md"
RUN = {"namespace": "agents", "doer": "planner", "runId": "r", "policy": "planner-v1"}


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("kept", "refused", "path", "why"),
    [
        (nested(8), nested(9), "[0]" * 9, "must be nested at most 8 levels deep"),
        ({"a": [nested(6)]}, {"a": [nested(7)]}, ".a" + "[0]" * 8, "must be nested at most 8"),
        ("x" * 65_536, "x" * 65_537, "", "must have strings of at most 65,536 characters"),
        (["é" * 65_536], ["é" * 65_537], "[0]", "must have strings of at most 65,536 characters"),
        ({"k" * 65_536: 1}, {"k" * 65_537: 1}, "", "must have strings of at most 65,536"),
        ({"a": "\x01"}, {"a": "\x00"}, ".a", "must have no NUL character"),
        ({"a": [{"\x01": 1}]}, {"a": [{"\x00": 1}]}, ".a[0]", "must have no NUL character"),
        ("\U0001f600", "\ud83d", "", "must be valid Unicode text, without lone surrogates"),
        ([0, 1e308], [0, float("inf")], "[1]", "must have finite numbers alone"),
        (-1e308, float("nan"), "", "must have finite numbers alone"),
    ],
)
def test_storable_at_each_bound(kept, refused, path, why):
    assert storable(kept) is kept
    with pytest.raises(UnstorableError, match=re.escape(why)) as error:
        storable(refused)
    assert error.value.path == path


def test_a_path_shows_the_beginning_of_a_long_name_only():
    with pytest.raises(UnstorableError) as error:
        storable({"k" * 500: "\x00"})
    assert error.value.path == "." + "k" * 60


def test_a_section_counts_as_a_level():
    storable(nested(7), depth=1)
    with pytest.raises(UnstorableError):
        storable(nested(8), depth=1)


@pytest.mark.parametrize("name", ["a", "n" * 128, "größe", "a b", "a\u200db"])
def test_what_is_a_label_may_name_a_detail(name):
    assert is_label(name)
    Bundle.model_validate({**RUN, "qav": {name: 1}})


@pytest.mark.parametrize("name", ["", "n" * 129, "a\nb", "\x00", "\ud800", "\u2028"])
def test_what_is_no_label_is_refused_by_the_model_too(name):
    assert not is_label(name)
    with pytest.raises(ValidationError):
        Bundle.model_validate({**RUN, "qav": {name: 1}})


@pytest.mark.parametrize("name", [None, 1, b"a"])
def test_a_label_is_text(name):
    assert not is_label(name)


def test_the_reference_tells_these_bounds():
    table = PAGE.read_text()
    mebibytes = f"{limits.BODY_BYTES // 2**20} MiB"
    for told in (
        f"| body | {mebibytes}; `runs:batch` and `shadows:report` {BATCH_BODY_BYTES // 2**20} MiB;",
        f"| a bundle of a batch | {mebibytes}, ",
        f"| a bundle | {limits.MAX_ENTRIES} entries in each of `metrics`, `costs` and `qav`; "
        f"{limits.MAX_GATES} `gates`, {limits.MAX_ARTIFACTS} `artifacts`, "
        f"{limits.MAX_SIGNALS} `signals` |",
        f"label {limits.MAX_LABEL},",
        f"in `qav` and `artifacts` {limits.MAX_STRING:,} |",
        f"| depth | {limits.MAX_DEPTH} levels in `qav` and `artifacts` |",
        f"metrics and costs ±2^{limits.MAX_NUMBER.bit_length() - 1}, "
        f"`durationMilliseconds` and budgets {limits.MAX_AMOUNT:.0e}".replace("e+", "e"),
    ):
        assert told in table
    assert limits.BODY_BYTES % 2**20 == 0
    assert limits.MAX_NUMBER == 2**53
