"""Words as search sees them, and excerpts."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.words import EXCERPT_CHARACTERS, excerpt, fold, read_query

TRICKY = st.sampled_from(
    ["e\u0301", "が", "カ\u3099", "한", "ﬁ", "👨\u200d👩\u200d👧", "東", "न\u093f", "\0", "İ", " ", "\n", "-"]
)
texts = st.lists(st.text(max_size=20) | TRICKY | st.text("ab c", max_size=10), max_size=60).map("".join)


def shown(text: str, query: str) -> tuple[str, list[str]]:
    """Return an excerpt and what its ranges hold, cut as a browser would cut it."""
    piece, ranges = excerpt(text, read_query(query))
    units = piece.encode("utf-16-le")
    return piece, [units[2 * a : 2 * b].decode("utf-16-le") for a, b in ranges]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hello, WORLD!", "hello world"),
        ("Élan vital, naïve Zoë; ŁÓDŹ", "elan vital naive zoe łodz"),
        ("e\u0301te\u0301", "ete"),
        ("Straße STRASSE ﬁn ＡＢＣ", "strasse strasse fin abc"),
        ("don't snake_case a.b", "don t snake case a b"),
        ("C++ and C#", "c + + and c #"),
        ("東京タワー", "東 京 タ ワ ー"),
        ("ｶﾞｷﾞ ガギ カ\u3099", "ガ ギ ガ ギ ガ"),
        ("か が", "か が"),
        ("안녕 세상", "안 녕 세 상"),
        ("สวัสดี", "ส ว ั ส ด ี"),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
        ("a👍🏽b 👨\u200d👩\u200d👧", "a 👍 🏽 b 👨 👩 👧"),
        ("1,234.5 ① ½", "1 234 5 1 1 2"),
        ("a\0b\x1fc\u2028d", "a b c d"),
        ("\u200b\u202e!?", ""),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
    ],
)
def test_folding_keeps_words_and_nothing_else(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(texts)
def test_folding_is_done_once_for_all(text: str) -> None:
    once = fold(text)

    assert once == " ".join(once.split())
    assert '"' not in once
    assert "\0" not in once


@pytest.mark.parametrize(
    "text", ["ab " * 400_000, "é" * 10**6, "a" + "\u0301\u0316" * 10**6, "a" + "\u0f72\u0f71" * 10**6]
)
def test_no_text_takes_long_to_fold(text: str) -> None:
    started = time.process_time()

    fold(text)

    assert time.process_time() - started < 5, "the time grows with the square of something"


def test_a_query_is_its_words_once_each() -> None:
    assert read_query(" The the  don't 東京 !!! ") == ["the", "don t", "東 京"]
    assert read_query(" \t!?\0 ") == []


def test_an_excerpt_shows_every_place_of_every_word() -> None:
    assert shown("The fox: a Fox is foxy", "fox") == ("The fox: a Fox is foxy", ["fox", "Fox", "fox"])
    assert shown("The fox: a Fox is foxy", "fox a") == ("The fox: a Fox is foxy", ["fox", "a", "Fox"])


def test_the_last_word_alone_is_a_prefix() -> None:
    assert shown("search sea", "sea") == ("search sea", ["sea", "sea"])
    assert shown("search sea to", "sea to") == ("search sea to", ["sea", "to"])


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("😀😀 héllo 👨\u200d👩\u200d👧!", "hello", ["héllo"]),
        ("😀😀 he\u0301llo", "hello", ["he\u0301llo"]),
        ("😀 ok 😀", "😀", ["😀", "😀"]),
        ("昨日、東京タワーに行った。", "タワー", ["タワー"]),
        ("我喜欢机器学习", "机器", ["机器"]),
        ("Die STRASSE und Straße", "strasse", ["STRASSE", "Straße"]),
        ("I wrote C++.", "c++", ["C++"]),
        ("Don't", "don't", ["Don't"]),
    ],
)
def test_ranges_count_as_a_browser_does(text: str, query: str, found: list[str]) -> None:
    assert shown(text, query) == (text, found)


def test_an_excerpt_of_a_long_text_is_where_most_words_are() -> None:
    text = "one " * 2000 + "here one and two meet " + "three " * 2000

    piece, found = shown(text, "one two")

    assert "one and two meet" in piece
    assert len(piece) <= EXCERPT_CHARACTERS
    assert found[-1] == "two"


def test_an_excerpt_cuts_no_word_where_there_is_white_space() -> None:
    piece, found = shown("alpha beta " * 100 + "needle " + "gamma delta " * 100, "needle")

    assert found == ["needle"]
    assert set(piece.split()) <= {"alpha", "beta", "needle", "gamma", "delta"}


def test_an_excerpt_without_white_space_is_bounded_as_well() -> None:
    piece, found = shown("東" * 5000 + "京都" + "西" * 5000, "京都")

    assert (len(piece), found) == (EXCERPT_CHARACTERS, ["京都"])


def test_an_excerpt_of_what_is_not_there_is_a_beginning() -> None:
    assert excerpt("word " * 100, ["other"]) == ("word " * 40, [])
    assert excerpt("", ["other"]) == ("", [])


@given(texts, texts)
@example("a" * 3000, "a")
@example("\U0001f468\u200d" * 300, "\U0001f468")
def test_an_excerpt_is_a_piece_of_the_text_with_ranges_in_order(text: str, query: str) -> None:
    words = read_query(query)
    if not words:
        return

    piece, ranges = excerpt(text, words)

    assert piece in text
    assert len(piece) <= EXCERPT_CHARACTERS
    edges = [edge for place in ranges for edge in place]
    assert edges == sorted(edges)
    assert all(a < b for a, b in ranges)
    assert not edges or edges[-1] <= len(piece.encode("utf-16-le", "surrogatepass")) // 2


@given(texts, st.integers(0, 200), st.integers(1, 30))
def test_a_word_of_a_text_is_found_in_its_excerpt(text: str, start: int, length: int) -> None:
    words = fold(text).split()
    if not words:
        return
    word = words[start % len(words)]

    _, ranges = excerpt(text, [word])

    assert ranges
