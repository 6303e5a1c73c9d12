"""Whole characters from pieces of text."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.characters import Characters, cut
from tests.support.properties import PROPERTY

any_text = st.text(st.characters(codec=None) | st.characters(min_codepoint=0xD7F0, max_codepoint=0xE00F), max_size=60)
whole_text = st.text(max_size=60)


def joined(*pieces: str) -> str:
    characters = Characters()
    return "".join([characters.add(piece) for piece in pieces] + [characters.end()])


def halves(text: str) -> str:
    """Return a text with each character beyond U+FFFF spelled as a surrogate pair."""
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))


@PROPERTY
@given(whole_text, st.lists(st.integers(0, 120), max_size=8))
def test_a_text_of_surrogate_pairs_is_whole_again_wherever_it_is_cut(text, cuts):
    split = halves(text)
    places = sorted({min(cut, len(split)) for cut in cuts} | {0, len(split)})

    pieces = [split[start:end] for start, end in itertools.pairwise(places)]

    assert joined(*pieces) == text


@PROPERTY
@given(st.lists(any_text, max_size=8))
def test_what_comes_out_can_always_be_written_as_utf_8(pieces):
    characters = Characters()

    for piece in pieces:
        characters.add(piece).encode()
    characters.end().encode()


@PROPERTY
@given(st.lists(whole_text, max_size=8))
def test_whole_pieces_pass_as_they_are_and_at_once(pieces):
    characters = Characters()

    assert [characters.add(piece) for piece in pieces] == pieces
    assert characters.end() == ""


def test_a_pair_that_is_cut_between_two_pieces_is_one_character():
    characters = Characters()

    assert characters.add("a\ud83d") == "a"
    assert characters.add("\udc4bb") == "👋b"
    assert characters.end() == ""


def test_an_empty_piece_between_two_halves_does_not_part_them():
    assert joined("\ud83d", "", "\udc4b") == "👋"


def test_a_lone_half_is_replaced():
    assert joined("a\udc4bb") == "a\ufffdb"
    assert joined("a\ud83d", "b") == "a\ufffdb"
    assert joined("a\ud83d", "\ud83d\udc4b") == "a\ufffd👋"
    assert joined("a\ud83d") == "a\ufffd"


def test_a_half_at_the_end_is_told_once():
    characters = Characters()
    characters.add("\ud83d")

    assert characters.end() == "\ufffd"
    assert characters.end() == ""


@PROPERTY
@given(whole_text, st.integers(0, 250))
def test_a_cut_text_is_the_longest_beginning_that_fits(text, max_bytes):
    beginning = cut(text, max_bytes)

    assert text.startswith(beginning)
    assert len(beginning.encode()) <= max_bytes
    if beginning != text:
        assert len(text[: len(beginning) + 1].encode()) > max_bytes


def test_a_character_that_does_not_fit_whole_is_left_out():
    assert [cut("a👋b", size) for size in range(7)] == ["", "a", "a", "a", "a", "a👋", "a👋b"]
