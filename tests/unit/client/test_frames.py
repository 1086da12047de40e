"""Records in a file: what is whole comes back, what was cut off is left out, damage is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.client.frames import MAX_BODY_BYTES, DamagedError, Record, decode, encode

RECORDS = st.lists(
    st.builds(Record, path=st.text(max_size=30), body=st.binary(max_size=60)), max_size=6
)


@given(RECORDS)
def test_what_was_written_is_read(records: list[Record]) -> None:
    assert list(decode(b"".join(map(encode, records)))) == records


@given(RECORDS, st.data())
def test_a_file_that_was_cut_off_anywhere_has_the_records_before(
    records: list[Record], data: st.DataObject
) -> None:
    whole = b"".join(map(encode, records))
    cut = data.draw(st.integers(0, len(whole)))
    kept = list(decode(whole[:cut]))
    assert kept == records[: len(kept)]
    assert len(whole[:cut]) < sum(len(encode(one)) for one in records[: len(kept) + 1]) or (
        kept == records
    )


@given(RECORDS.filter(bool), st.data())
def test_any_changed_byte_is_found_and_nothing_wrong_is_read(
    records: list[Record], data: st.DataObject
) -> None:
    whole = bytearray(b"".join(map(encode, records)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    read: list[Record] = []
    with pytest.raises(DamagedError):
        read.extend(decode(bytes(whole)))
    assert read == records[: len(read)]


@pytest.mark.parametrize(
    ("path", "body"), [("/" + "x" * 2000, b""), ("/v1", b"x" * (MAX_BODY_BYTES + 1))]
)
def test_a_record_has_bounds(path: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="a record has"):
        encode(Record(path=path, body=body))
