"""The stored form of records: journal rows in commit order, compressed blocks by stream. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from app.events import Record

BLOCK_RECORDS = 1024
BLOCK_BYTES = 256 * 1024
"""Where a block ends, whichever is first: packing one must not hold up the writer for long."""
_LEVEL = 3

_pack = msgspec.msgpack.Encoder().encode
_unpack_journal = msgspec.msgpack.Decoder(list[tuple[str, list[tuple[int, int, str, bytes]]]]).decode
_unpack_block = msgspec.msgpack.Decoder(tuple[int, list[int], list[str], list[bytes]]).decode


class Unreadable(Exception):
    """Stored bytes that no version of this code has written."""


def pack_journal(entries: Sequence[tuple[str, Sequence[Record]]]) -> bytes:
    """Return one journal row: the new records of all streams of one commit."""
    return _pack([(name, [(r.seq, r.at, r.type, r.data) for r in records]) for name, records in entries])


def unpack_journal(row: bytes) -> list[tuple[str, list[Record]]]:
    """Return what `pack_journal` was given. Raises `Unreadable`."""
    try:
        return [(name, [Record(*fields) for fields in records]) for name, records in _unpack_journal(row)]
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Unreadable(str(error)) from error


def cut_blocks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield records in blocks, each of at least one."""
    first = size = 0
    for place, record in enumerate(records):
        if place - first == BLOCK_RECORDS or (place > first and size + len(record.data) > BLOCK_BYTES):
            yield records[first:place]
            first, size = place, 0
        size += len(record.data)
    if records:
        yield records[first:]


def pack_block(records: Sequence[Record]) -> bytes:
    """Return a compressed block of records with consecutive numbers.

    Columns of a kind lie together, times as differences: that is what compresses a token to some ten bytes.
    """
    ats = [record.at for record in records]
    steps = [ats[0], *(later - earlier for earlier, later in pairwise(ats))]
    columns = (records[0].seq, steps, [r.type for r in records], [r.data for r in records])
    return zlib.compress(_pack(columns), _LEVEL)


def unpack_block(block: bytes) -> list[Record]:
    """Return what `pack_block` was given. Raises `Unreadable`."""
    try:
        first, steps, types, datas = _unpack_block(zlib.decompress(block))
    except (zlib.error, msgspec.MsgspecError, UnicodeError) as error:
        raise Unreadable(str(error)) from error
    records, at = [], 0
    for offset, (step, type_, data) in enumerate(zip(steps, types, datas, strict=True)):
        at += step
        records.append(Record(first + offset, at, type_, data))
    return records
