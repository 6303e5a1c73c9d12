"""Titles of conversations."""

from __future__ import annotations

from app.errors import Invalid

MAX_TITLE_CHARACTERS = 500
FIRST_WORDS_CHARACTERS = 60
UNTITLED = "Untitled"
"""The title of a conversation that begins without a word."""


def check_title(title: str, path: str = "title") -> str:
    """Return a title. Raises `Invalid` for one that shows nothing or is too long; it is at `path`."""
    if not title.strip() or len(title) > MAX_TITLE_CHARACTERS:
        raise Invalid(f"A title has 1 to {MAX_TITLE_CHARACTERS} characters, not all of them white space.", path)
    return title


def first_words(prompt: str) -> str:
    """Return a title made of a prompt's first words."""
    words = " ".join(prompt.lstrip()[: FIRST_WORDS_CHARACTERS * 4].split())
    if len(words) <= FIRST_WORDS_CHARACTERS:
        return words
    head = words[: FIRST_WORDS_CHARACTERS - 1]
    return (head.rpartition(" ")[0] or head) + "…"
