"""The native dialect as lines of JSON, one for each frame: what a WebSocket carries, a message each. Pure.

A line holds what a frame of the event stream does: its data, and the `id` beside it; and it names its stream. JSON
escapes what would end a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from app.events import Record
from app.ids import Cursor

_LINE = b'{"id":"%b-%012d","stream":"%b",%b\n'
"""An event: the `Cursor`, the stream, and its JSON behind the brace that it begins with."""
_encode = msgspec.json.Encoder().encode


def join(stream: str, epoch: str, records: Iterable[Record]) -> bytes:
    """Return the lines of records in one piece."""
    name, named_epoch = stream.encode(), epoch.encode()
    return b"".join([_LINE % (named_epoch, record.seq, name, record.data[1:]) for record in records])


def control(type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
    """Return the line of what is no event of the log; of these a snapshot alone has an id."""
    id = {"id": str(cursor)} if cursor else {}
    return _encode({**id, "type": type, **data}) + b"\n"


def notice(stream: str, message: str) -> bytes:
    """Return the line of a join notice: a message without an id."""
    return control("message", {"stream": stream, "text": message})
