"""Names that travel: ids, epochs and cursors. All are ASCII `[a-z0-9-]`, opaque to clients and safe in a path."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from typing import NamedTuple

_CURSOR = re.compile(r"([a-z2-7]{12})-([0-9]{12})")

BROADCAST = "broadcast"
"""The name of the broadcast channel's stream."""


def new_id() -> str:
    """Return a new id: 26 characters that hold 130 random bits."""
    return base64.b32encode(secrets.token_bytes(17)).decode("ascii").lower()[:26]


def new_salt() -> bytes:
    """Return the random value that a stream keeps for life; its epochs are made from it."""
    return secrets.token_bytes(16)


def conversation_stream(conversation_id: str) -> str:
    """Return the name of a conversation's stream."""
    return f"conversation/{conversation_id}"


def make_epoch(salt: bytes, generation: bytes) -> str:
    """Return the name of one incarnation of one stream, 12 characters.

    It depends on the store's generation, so a database that was put back from a copy never answers an old cursor with
    other events (G4).
    """
    digest = hashlib.blake2b(salt, key=generation, digest_size=8).digest()
    return base64.b32encode(digest).decode("ascii").lower()[:12]


class Cursor(NamedTuple):
    """A position as a client holds it; `str()` gives the text that travels, which is also the event's id."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq:012d}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Return the cursor that `text` spells exactly, or None.

        No `int()` decides here: it takes signs, underscores, spaces and the digits of other scripts.
        """
        found = _CURSOR.fullmatch(text)
        return cls(found[1], int(found[2])) if found else None


def write_numbers(*numbers: int) -> str:
    """Return an opaque text for the place where a page ends."""
    return base64.urlsafe_b64encode(b"".join(number.to_bytes(8, "big") for number in numbers)).decode().rstrip("=")


def parse_numbers(text: str, count: int) -> list[int] | None:
    """Return the numbers that `write_numbers` was given, or None for a text that it did not write."""
    if not text.isascii() or len(text) > 64:
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    numbers = [int.from_bytes(packed[at : at + 8], "big") for at in range(0, len(packed), 8)]
    fits = len(packed) == 8 * count and all(number < 2**63 for number in numbers)
    return numbers if fits and write_numbers(*numbers) == text else None
