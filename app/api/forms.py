"""The forms that the native dialect is written in: event streams over HTTP, lines over a WebSocket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.api.wire import make_chunk
from app.codecs import lines, sse
from app.codecs.websocket import make_messages
from app.events import Record
from app.ids import Cursor

SEND_BYTES = 64 * 1024
"""About how much is handed to a socket at a time."""


class Form(ABC):
    """How the frames of one stream are written; `stream` is its name."""

    @abstractmethod
    def records(self, stream: str, epoch: str, records: Sequence[Record]) -> Iterable[bytes]:
        """Return the frames of records, joined into pieces that can be sent one after the other."""

    @abstractmethod
    def ready(self, stream: str, epoch: str, records: Sequence[Record]) -> bytes:
        """Return the frames of records as a connection carries them, for all who can share them."""

    @abstractmethod
    def control(self, type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
        """Return a frame that is no event of the log."""

    @abstractmethod
    def notice(self, stream: str, message: str) -> bytes:
        """Return the frame of a join notice."""

    @abstractmethod
    def packed(self, frames: bytes) -> bytes:
        """Return frames as a connection carries them."""

    @abstractmethod
    def retry(self, milliseconds: int) -> bytes:
        """Return what tells a client how long to wait before it comes back, where that is apart from `bye`."""


class _EventStream(Form):
    """Server-Sent Events, in chunks of HTTP/1.1."""

    def records(self, stream: str, epoch: str, records: Sequence[Record]) -> Iterable[bytes]:  # noqa: ARG002
        return sse.chunks(epoch, records, SEND_BYTES)

    def ready(self, stream: str, epoch: str, records: Sequence[Record]) -> bytes:  # noqa: ARG002
        return make_chunk(sse.join(epoch, records))

    def control(self, type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
        return sse.control(type, data, cursor)

    def notice(self, stream: str, message: str) -> bytes:  # noqa: ARG002
        return sse.text(message)

    def packed(self, frames: bytes) -> bytes:
        return make_chunk(frames)

    def retry(self, milliseconds: int) -> bytes:
        return sse.retry(milliseconds)


class _Lines(Form):
    """Lines of JSON, each a message of a WebSocket."""

    def records(self, stream: str, epoch: str, records: Sequence[Record]) -> Iterable[bytes]:
        size = start = 0
        for end, record in enumerate(records, start=1):
            size += len(record.data)
            if size >= SEND_BYTES or end == len(records):
                yield lines.join(stream, epoch, records[start:end])
                size, start = 0, end

    def ready(self, stream: str, epoch: str, records: Sequence[Record]) -> bytes:
        return make_messages(lines.join(stream, epoch, records))

    def control(self, type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
        return lines.control(type, data, cursor)

    def notice(self, stream: str, message: str) -> bytes:
        return lines.notice(stream, message)

    def packed(self, frames: bytes) -> bytes:
        return make_messages(frames)

    def retry(self, milliseconds: int) -> bytes:  # noqa: ARG002
        return b""


EVENT_STREAM: Form = _EventStream()
LINES: Form = _Lines()
