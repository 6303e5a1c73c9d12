"""Server-Sent Events as they are read: bytes in, in whatever pieces they come, events out. No I/O.

The rules are those of the HTML standard, "Interpreting an event stream": a line ends with CR LF, LF or CR, a blank line
ends an event, and an event that the end of the stream cuts off is none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event is longer than the reader takes."""


class Event(NamedTuple):
    """One event: its type (empty where it has none) and its data lines, joined by LF.

    The bytes are as they came: text is decoded once it is whole, since a chunk may end within a character.
    """

    type: bytes
    data: bytes


class EventReader:
    """Cuts a stream of bytes into events; it holds one event at most, of `longest` bytes of data and of each line."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._type = b""
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that these bytes complete; raises `TooLong`, after which there is nothing to read on."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # the other half of a line end
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        first, *more = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        self._line += first
        events = []
        if more:
            *whole, rest = more
            events = [event for line in (self._first_line(), *whole) if (event := self._read(line))]
            self._line = bytearray(rest)
        if len(self._line) > self._longest:
            raise TooLong
        return events

    def _first_line(self) -> bytes:
        line = bytes(self._line)
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        return line

    def _read(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._longest:
                raise TooLong
            self._data.append(value)
        elif name == b"event":
            self._type = value
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._type, b"\n".join(self._data)) if self._data else None
        self._data, self._size, self._type = [], 0, b""
        return event
