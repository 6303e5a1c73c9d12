"""The native dialect: Server-Sent Events. Pure, and without state.

`id`, `event` and `retry` come only from our own closed sets; whatever a user or a model wrote travels as JSON within
one `data:` line. JSON escapes CR, LF and NUL, and only CR and LF end a line in an event stream: U+2028, U+2029 and
U+0085 may stand as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.events import BroadcastMessage, Record
from app.ids import Cursor

_LINE_END = re.compile("\r\n|\r|\n")
_FRAME = b"id: %b-%012d\nevent: %b\ndata: %b\n\n"
"""The frame of an event: the `Cursor`, the type, the JSON."""
_encode = msgspec.json.Encoder().encode


def frame(epoch: str, record: Record) -> bytes:
    """Return an event's frame; it is made once, and shared by all subscribers."""
    if record.frame is None:
        record.frame = _frame(epoch, record)
    return record.frame


def join(epoch: str, records: Iterable[Record]) -> bytes:
    """Return the frames of records in one piece."""
    return b"".join([record.frame or frame(epoch, record) for record in records])


def chunks(epoch: str, records: Sequence[Record], max_bytes: int) -> Iterable[bytes]:
    """Yield the frames of records joined into few pieces, none much over `max_bytes`."""
    piece: list[bytes] = []
    size = 0
    for record in records:
        encoded = frame(epoch, record)
        if piece and size + len(encoded) > max_bytes:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(encoded)
        size += len(encoded)
    if piece:
        yield b"".join(piece)


def control(type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
    """Return a frame that is no event of the log: hello, ping, bye, and the snapshot, which alone has an id."""
    id = f"id: {cursor}\n" if cursor else ""
    return f"{id}event: {type}\ndata: ".encode() + _encode({"type": type, **data}) + b"\n\n"


def text(message: str) -> bytes:
    """Return a frame of plain text without an id, as the broadcast channel's join notices are."""
    return _text_lines(message) + b"\n"


def retry(milliseconds: int) -> bytes:
    """Return the line that tells a client how long to wait before it comes back."""
    return f"retry: {milliseconds}\n\n".encode()


def _frame(epoch: str, record: Record) -> bytes:
    if record.type != "message":
        return _FRAME % (epoch.encode(), record.seq, record.type.encode(), record.data)
    event = record.event()
    assert isinstance(event, BroadcastMessage)  # noqa: S101 - the tag says so
    return f"id: {Cursor(epoch, record.seq)}\n".encode() + _text_lines(event.text) + b"\n"


def _text_lines(message: str) -> bytes:
    return b"".join(b"data: %b\n" % line.encode() for line in _LINE_END.split(message))
