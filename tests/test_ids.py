"""Ids, epochs, cursors, and the places where pages end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ids import Cursor, conversation_stream, make_epoch, new_id, new_salt, parse_numbers, write_numbers
from tests.support.properties import PROPERTY

epochs = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=12, max_size=12)
numbers = st.integers(0, 2**63 - 1)

NO_CURSORS = [
    "",
    " ",
    "-1",
    "+5",
    "1e9",
    "0x10",
    "$",
    "*",
    ">",
    "abcdefghijkl",
    "abcdefghijkl-",
    "abcdefghijkl-5",
    "abcdefghijkl-00000000000",
    "abcdefghijkl-0000000000005",
    "abcdefghijkl-+00000000005",
    "abcdefghijkl--00000000005",
    "abcdefghijkl-0000000_0005",
    "abcdefghijkl-00000000 005",
    "abcdefghijkl- 00000000005",
    "abcdefghijkl-0x0000000005",
    "abcdefghijkl-00000000001e",
    "abcdefghijkl-٠٠٠٠٠٠٠٠٠٠٠٥",
    "abcdefghijkl-００００００００００００",
    "abcdefghijkl-²²²²²²²²²²²²",
    "abcdefghijkl-1" + "0" * 30,
    "abcdefghijkl-" + "0" * 10_000,
    "ABCDEFGHIJKL-000000000005",
    "abcdefghijk1-000000000005",
    "abcdefghijkı-000000000005",
    "abcdefghijk-000000000005",
    " abcdefghijkl-000000000005",
    "abcdefghijkl-000000000005 ",
    "abcdefghijkl-000000000005\n",
    "abcdefghijkl-000000000005\0",
    "abcdefghijkl-000000000005\nabcdefghijkl-000000000005",
    "abcdefghijkl–000000000005",
]


@PROPERTY
@given(epochs, st.integers(0, 10**12 - 1))
def test_a_cursor_reads_as_it_was_written(epoch, seq):
    text = str(Cursor(epoch, seq))

    assert Cursor.parse(text) == (epoch, seq)
    assert re.fullmatch(r"[a-z0-9-]{25}", text)


def test_a_cursor_is_its_epoch_and_twelve_digits():
    assert str(Cursor("abcdefghijkl", 5)) == "abcdefghijkl-000000000005"
    assert Cursor.parse("abcdefghijkl-000000000005") == ("abcdefghijkl", 5)


def test_cursors_of_one_epoch_sort_as_texts_as_they_do_as_numbers():
    texts = [str(Cursor("abcdefghijkl", seq)) for seq in (0, 1, 9, 10, 99, 100_000, 10**12 - 1)]

    assert texts == sorted(texts)


@pytest.mark.parametrize("text", NO_CURSORS, ids=lambda text: ascii(text)[:40])
def test_no_other_text_is_a_cursor(text):
    assert Cursor.parse(text) is None


@PROPERTY
@given(st.text() | st.from_regex(r"\w{12}-\d{12}", fullmatch=True))
def test_a_text_that_is_a_cursor_is_spelled_exactly_as_that_cursor(text):
    cursor = Cursor.parse(text)

    assert cursor is None or str(cursor) == text


def test_ids_are_safe_in_a_path_and_do_not_repeat():
    ids = {new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch(r"[a-z2-7]{26}", id) for id in ids)


def test_every_character_of_an_id_varies():
    ids = [new_id() for _ in range(1000)]

    assert all(len(set(column)) == 32 for column in zip(*ids, strict=True))


def test_an_epoch_is_one_of_a_salt_and_a_generation():
    salts, generations = [new_salt(), new_salt()], [b"first generation", b"second generation"]

    epochs = {make_epoch(salt, generation) for salt in salts for generation in generations}

    assert len(epochs) == 4
    assert all(re.fullmatch(r"[a-z2-7]{12}", epoch) for epoch in epochs)
    assert make_epoch(salts[0], generations[0]) == make_epoch(salts[0], generations[0])


def test_an_epoch_never_changes_its_form():
    assert make_epoch(bytes(16), bytes(16)) == "3z2ncdmhrp55"


def test_a_conversation_has_a_stream_of_its_own():
    assert conversation_stream("abc") == "conversation/abc"


@PROPERTY
@given(st.lists(numbers, min_size=1, max_size=3))
def test_the_place_of_a_page_reads_as_it_was_written(places):
    text = write_numbers(*places)

    assert parse_numbers(text, len(places)) == places
    assert parse_numbers(text, len(places) + 1) is None
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)


@pytest.mark.parametrize(
    "text", ["", "A", "!", "null", "0", "AAAAAAAAAA", "AAAAAAAAAAA=", "AAAAAAAAAAB", "A" * 65, "AAAAAAAAAA\n", "é" * 11]
)
def test_no_other_text_is_the_place_of_a_page(text):
    assert parse_numbers(text, 1) is None


def test_a_place_beyond_what_the_store_can_count_is_none():
    assert parse_numbers(write_numbers(2**63), 1) is None


@PROPERTY
@given(st.text() | st.from_regex(r"[A-Za-z0-9+/_-]{11}", fullmatch=True))
def test_a_text_that_is_a_place_is_spelled_exactly_as_that_place(text):
    places = parse_numbers(text, 1)

    assert places is None or write_numbers(*places) == text
