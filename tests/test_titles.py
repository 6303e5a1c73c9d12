"""Titles, given and made from prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.titles import FIRST_WORDS_CHARACTERS, MAX_TITLE_CHARACTERS, check_title, first_words
from tests.support.properties import PROPERTY


def test_a_short_prompt_is_its_own_title():
    assert first_words("Why is the sky blue?") == "Why is the sky blue?"


def test_white_space_of_any_kind_is_one_space():
    assert first_words("\n  Why\tis\r\n\r\nthe\u2028sky\u3000blue? \n") == "Why is the sky blue?"


def test_a_long_prompt_is_cut_between_words():
    title = first_words("word " * 100)

    assert title == "word " * 10 + "word…"


def test_a_long_word_is_cut_within():
    assert first_words("a" * 1000) == "a" * (FIRST_WORDS_CHARACTERS - 1) + "…"


def test_a_prompt_that_begins_with_much_white_space_has_a_title():
    assert first_words(" " * 10_000 + "Hello") == "Hello"


@PROPERTY
@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_every_prompt_gives_a_title_that_could_have_been_given(prompt):
    title = first_words(prompt)

    assert check_title(title) == title
    assert len(title) <= FIRST_WORDS_CHARACTERS
    assert len(title.splitlines()) == 1


@pytest.mark.parametrize("title", ["x", "x" * MAX_TITLE_CHARACTERS, " x ", "👋" * MAX_TITLE_CHARACTERS, "\u202eabc"])
def test_a_title_stays_as_it_is_given(title):
    assert check_title(title) == title


@pytest.mark.parametrize("title", ["", " ", "\n\t\u3000\u2028", "x" * (MAX_TITLE_CHARACTERS + 1)])
def test_a_title_that_shows_nothing_or_is_too_long_is_refused(title):
    with pytest.raises(Invalid) as refused:
        check_title(title)

    assert refused.value.path == "title"
