"""Messages of a WebSocket as the server writes them (RFC 6455, 5.2): whole, of text, and not masked. Pure.

So a message is the same bytes for everybody, and is made once for all who read it.
"""

from __future__ import annotations

_TEXT = 0x81
"""The first byte: a text, and the last frame of its message."""
_SHORT, _MEDIUM = 126, 127
"""What stands in the place of a length that does not fit into seven bits: two bytes follow, or eight."""


def make_messages(lines: bytes) -> bytes:
    """Return lines as messages, one each."""
    return b"".join([_head(len(line)) + line for line in lines.splitlines()])


def _head(length: int) -> bytes:
    if length < _SHORT:
        return bytes((_TEXT, length))
    if length < 2**16:
        return bytes((_TEXT, _SHORT)) + length.to_bytes(2, "big")
    return bytes((_TEXT, _MEDIUM)) + length.to_bytes(8, "big")
