"""How the spool's files hold records: one after the other, each with its checksums."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from learnops.domain.bundle_limits import BODY_BYTES

MAX_PATH_BYTES = 1024
MAX_BODY_BYTES = BODY_BYTES  # what the api takes as one item

_MAGIC = b"LSP1"
# Magic, length of the path, length of the body, checksum of both with the lengths; then a checksum
# of the head itself: a damaged length must not pass for a record that was cut off.
_HEAD = struct.Struct(">4sHII")
_SUM = struct.Struct(">I")
HEAD_BYTES = _HEAD.size + _SUM.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something to be posted: the path of the api, and the JSON of one item of its batch."""

    path: str
    body: bytes


class DamagedError(Exception):
    """A file holds something that no process of ours wrote like this."""


def encode(record: Record) -> bytes:
    """One record as it stands in a file.

    Raises:
        ValueError: the path or the body is over its bound.
    """
    path = record.path.encode()
    if len(path) > MAX_PATH_BYTES or len(record.body) > MAX_BODY_BYTES:
        raise ValueError(f"a record has {len(path)} bytes of path, {len(record.body)} of body")
    content = path + record.body
    head = _HEAD.pack(_MAGIC, len(path), len(record.body), zlib.crc32(content))
    return head + _SUM.pack(zlib.crc32(head)) + content


def decode(data: bytes) -> Iterator[Record]:
    """The records of a file in their order; one that was cut off at the end never was reported.

    Raises:
        DamagedError: when it gets to what is no record.
    """
    at = 0
    while len(data) - at >= HEAD_BYTES:
        head = data[at : at + _HEAD.size]
        (head_sum,) = _SUM.unpack_from(data, at + _HEAD.size)
        magic, path_bytes, body_bytes, content_sum = _HEAD.unpack(head)
        if magic != _MAGIC or zlib.crc32(head) != head_sum:
            raise DamagedError(f"no record begins at byte {at}")
        begin = at + HEAD_BYTES
        end = begin + path_bytes + body_bytes
        if end > len(data):
            return
        content = data[begin:end]
        if zlib.crc32(content) != content_sum:
            raise DamagedError(f"the record at byte {at} has another checksum")
        yield _record(content, path_bytes=path_bytes, at=at)
        at = end


def _record(content: bytes, *, path_bytes: int, at: int) -> Record:
    try:
        return Record(path=content[:path_bytes].decode(), body=content[path_bytes:])
    except UnicodeDecodeError as error:
        raise DamagedError(f"the record at byte {at} has a path that is no text") from error
