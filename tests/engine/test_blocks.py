"""Packing: what is unpacked is what was packed, whatever it is; and bytes that nobody packed are refused."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.blocks import (
    BLOCK_BYTES,
    BLOCK_RECORDS,
    Unreadable,
    cut_blocks,
    pack_block,
    pack_journal,
    unpack_block,
    unpack_journal,
)
from app.events import Record, ReplyDelta
from tests.support.commits import records, to_records
from tests.support.properties import PROPERTY

times = st.integers(0, 2**45)  # milliseconds, in any order: clocks go back
types = st.text(max_size=20).filter(lambda text: text.isprintable())
facts = st.tuples(times, types, st.binary(max_size=200))


@st.composite
def blocks(draw: st.DrawFn, min_size: int = 1) -> list[Record]:
    first = draw(st.integers(1, 2**53))
    return [Record(first + n, *fact) for n, fact in enumerate(draw(st.lists(facts, min_size=min_size, max_size=30)))]


@PROPERTY
@given(blocks())
def test_a_block_gives_back_what_it_was_given(block: list[Record]) -> None:
    assert unpack_block(pack_block(block)) == block


@PROPERTY
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), blocks(min_size=0))))
def test_a_journal_row_gives_back_what_it_was_given(entries: list[tuple[str, list[Record]]]) -> None:
    assert unpack_journal(pack_journal(entries)) == entries


@PROPERTY
@given(st.binary(max_size=300))
def test_bytes_that_nobody_packed_are_unreadable(garbage: bytes) -> None:
    for unpack in (unpack_block, unpack_journal):
        try:
            unpack(garbage)
        except Unreadable:
            continue
        assert unpack is unpack_journal, "a checksum does not pass by chance"


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_journal_row_is_read_or_unreadable_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    row = bytearray(pack_journal([("conversation/ü", records(1, 3)), ("t", records(4, 5))]))
    row[chance.randrange(len(row))] ^= chance.randrange(1, 256)

    with suppress(Unreadable):
        unpack_journal(bytes(row))


@pytest.mark.parametrize("seed", range(50))
def test_a_damaged_block_is_unreadable(seed: int) -> None:
    chance = random.Random(seed)
    block = bytearray(pack_block(records(1, 50)))
    # Zlib leaves the header's level bits unused, and every other bit is checked.
    block[chance.randrange(2, len(block))] ^= chance.randrange(1, 256)

    with pytest.raises(Unreadable):
        unpack_block(bytes(block))


def test_a_full_block_of_tokens_costs_about_ten_bytes_a_token() -> None:
    chance = random.Random(0)
    words = [chance.choice(["the", " river", " of", " time", " and", " then", ",", ".", " under"]) for _ in range(1024)]
    block = to_records(1, (ReplyDelta("r" * 26, 0, word) for word in words))

    packed = pack_block(block)

    assert len(block) == BLOCK_RECORDS
    assert len(packed) < 12 * len(block)
    assert unpack_block(packed) == block


def of_sizes(sizes: list[int]) -> list[Record]:
    return [Record(number, 0, "message", b"x" * size) for number, size in enumerate(sizes, start=1)]


@PROPERTY
@given(st.lists(st.sampled_from([0, 10, BLOCK_BYTES // 3, BLOCK_BYTES, BLOCK_BYTES + 1]), max_size=40))
def test_records_are_cut_into_blocks_of_bounded_size_and_none_is_lost(sizes: list[int]) -> None:
    cut = list(cut_blocks(of_sizes(sizes)))

    assert [len(record.data) for block in cut for record in block] == sizes
    assert all(len(block) == 1 or sum(len(record.data) for record in block) <= BLOCK_BYTES for block in cut)


@pytest.mark.parametrize(
    ("count", "blocks"), [(0, []), (BLOCK_RECORDS, [BLOCK_RECORDS]), (BLOCK_RECORDS + 1, [BLOCK_RECORDS, 1])]
)
def test_a_block_has_a_bounded_number_of_records(count: int, blocks: list[int]) -> None:
    assert [len(block) for block in cut_blocks(of_sizes([1] * count))] == blocks
