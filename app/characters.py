"""Whole characters from pieces of text: what no UTF-8 can hold never reaches the log."""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Characters:
    """Joins surrogate pairs that were cut between two pieces, and replaces lone surrogates with U+FFFD."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def add(self, text: str) -> str:
        """Return `text` in whole characters; a high surrogate at its end waits for the next piece."""
        text = str.__str__(text)  # the plain text of a subclass, which encoders refuse
        if text.isascii() and not self._half:
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def end(self) -> str:
        """Return what still waits, as a replacement character."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""


def whole(text: str) -> str:
    """Return a text that comes in one piece, lone surrogates replaced."""
    characters = Characters()
    return characters.add(text) + characters.end()


def size(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def cut(text: str, max_bytes: int) -> str:
    """Return the longest beginning of `text` that has at most `max_bytes` bytes in UTF-8."""
    if len(text) * 4 <= max_bytes:
        return text
    return text.encode()[:max_bytes].decode("utf-8", "ignore")
