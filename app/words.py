"""Words as search sees them: folded, so that case, accents and punctuation do not count. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

EXCERPT_CHARACTERS = 200
_BEFORE = 50
"""How much of an excerpt stands before its first match."""
_PIECE = 2048
"""How many characters are folded at once: a fold holds the interpreter, and running replies would wait for it."""

# Each character is a word of its own: the scripts that put no spaces between words (Thai, Lao, Myanmar, Khmer, kana,
# Han), Hangul, whose particles hang on words, pictures, and the signs that names of programming languages end in.
_ALONE = (
    "+#\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3005-\u3007"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U000323af"
)
# Accents, points of Hebrew and Arabic, selectors of a form, and what has no width.
_DROPPED = (
    "\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u200b-\u200f\u2060-\u2064\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\U000e0100-\U000e01ef"
)
_SCRIPTS = (range(0x300, 0x1E00), range(0x2C00, 0x3100), range(0xA600, 0xAC00))
_MARKS = "".join(chr(code) for script in _SCRIPTS for code in script if unicodedata.category(chr(code))[0] == "M")
"""What belongs to the character before it, as Devanagari's vowels do; Python counts them as no part of a word."""

_dropped = re.compile(f"[{_DROPPED}]+")
_crowded = re.compile(f"([{_MARKS}][{_MARKS}]{{7}})[{_MARKS}]+")
_words = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+(?:[{_MARKS}]+[^\W_{_ALONE}]*)*")
_ascii_words = re.compile(r"[+#]|[a-z0-9]+")
_clusters = re.compile(rf"[\0-\x7f]+(?![{_MARKS}{_DROPPED}])|.[{_MARKS}{_DROPPED}\u1160-\u11ff]*", re.DOTALL)
"""What is folded apart: ASCII, of which each character stays one, or a character with what belongs to it."""
_joined = re.compile(rf"[{_MARKS}{_DROPPED}]")


def fold(text: str) -> str:
    """Return a text's words in order, folded, with one space between them."""
    return " ".join(words for _, piece in _pieces(text) for words in _words_of(_plain(piece)))


def read_query(text: str) -> list[str]:
    """Return what has to be found, folded; each is a word, or several in a row, as `don't` and most Chinese are."""
    return list(dict.fromkeys(folded for word in text.split() if (folded := fold(word))))


def excerpt(text: str, query: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return a piece of a text, with the places in it where a query was found.

    Of at most `EXCERPT_CHARACTERS`; places are `[start, end)` in UTF-16 code units, as JavaScript counts, in order.
    """
    forms = _forms(query)
    at, piece, rarest = _best_piece(text, forms)
    spots = _spots(at, piece, [rarest])
    first = spots[0][0] if spots else 0
    start = _snap(text, max(0, min(first - _BEFORE, len(text) - EXCERPT_CHARACTERS)))
    end = _snap(text, start + EXCERPT_CHARACTERS)
    # A margin, so that a word that the edge cuts is not taken for a whole one.
    margin = max(0, start - _BEFORE)
    near = _spots(margin, text[margin : end + _BEFORE], forms) if spots else []
    shown = [(max(a, start), min(b, end)) for a, b in near if a < end and b > start]
    return text[start:end], [(_units(text[start:a]), _units(text[start:b])) for a, b in shown]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield a text in pieces with where they begin, cut at white space where there is any."""
    start = 0
    while len(text) - start > _PIECE:
        piece = text[start : start + _PIECE]
        piece = piece[: max(piece.rfind(" "), piece.rfind("\n")) + 1] or piece
        yield start, piece
        start += len(piece)
    yield start, text[start:]


def _plain(text: str) -> str:
    """Return a text without case and accents. Kana and Hangul are put together again: か is not が."""
    if text.isascii():
        return text.lower()
    # Marks are put into order when they are normalized, which takes the square of how many stand in a row.
    few = _crowded.sub(r"\1", _dropped.sub("", text))
    plain = _dropped.sub("", unicodedata.normalize("NFKD", few).casefold())
    return unicodedata.normalize("NFC", plain)


def _words_of(plain: str) -> list[str]:
    return (_ascii_words if plain.isascii() else _words).findall(plain)


def _best_piece(text: str, forms: Sequence[str]) -> tuple[int, str, str]:
    """Return the first piece that holds most of a query: where it begins, itself, and what it holds least often."""
    best, found = (0, "", forms[0]), 0
    for start, piece in _pieces(text):
        spelled = f" {' '.join(_words_of(_plain(piece)))} "
        here = [form for form in forms if form in spelled]
        if len(here) > found:
            best, found = (start, piece, min(here, key=spelled.count)), len(here)
        if found == len(forms):
            break
    return best


def _forms(query: Sequence[str]) -> list[str]:
    """Return how each word of a query is found among spelled words: whole, but for the last, a prefix."""
    return [f" {word} " for word in query[:-1]] + [f" {word}" for word in query[-1:]]


def _spots(start: int, piece: str, forms: Sequence[str]) -> list[tuple[int, int]]:
    """Return where forms are found in a piece that begins at `start`, in order, none over another."""
    spelled, begins, ends = _spell(start, piece)
    found: list[tuple[int, int]] = []
    for form in forms:
        at = spelled.find(form)
        while at >= 0:
            found.append((begins[at + 1], ends[at + len(form.rstrip()) - 1]))
            at = spelled.find(form, at + 1)
    spots: list[tuple[int, int]] = []
    for a, b in sorted(found):
        if spots and a < spots[-1][1]:
            spots[-1] = spots[-1][0], max(b, spots[-1][1])
        else:
            spots.append((a, b))
    return spots


def _spell(start: int, piece: str) -> tuple[str, list[int], list[int]]:
    """Return a piece's folded words with spaces around them, and where each character of that begins and ends."""
    plain = ""
    begins: list[int] = []
    ends: list[int] = []
    for cluster in _clusters.finditer(piece):
        folded = _plain(cluster[0])
        first, last = start + cluster.start(), start + cluster.end()
        begins += range(first, last) if cluster[0].isascii() else [first] * len(folded)
        ends += range(first + 1, last + 1) if cluster[0].isascii() else [last] * len(folded)
        plain += folded
    spelled = " "
    spelled_begins, spelled_ends = [start], [start]
    for word in (_ascii_words if plain.isascii() else _words).finditer(plain):
        spelled += word[0] + " "
        spelled_begins += [*begins[word.start() : word.end()], start]
        spelled_ends += [*ends[word.start() : word.end()], start]
    return spelled, spelled_begins, spelled_ends


def _snap(text: str, at: int) -> int:
    """Return a place near `at` that cuts no word where that is easy, and no character from what belongs to it."""
    if not 0 < at < len(text):
        return max(0, min(at, len(text)))
    space = text.rfind(" ", max(0, at - 20), at)
    if space >= 0:
        return space + 1
    for place in range(at, max(0, at - 16), -1):
        if not _joined.match(text, place) and text[place - 1] != "\u200d":
            return place
    return at


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
