"""A reader of event streams by the WHATWG rules, over a real socket that a test can cut, stall or read slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Frame:
    """One dispatched event, as a browser's EventSource would see it."""

    event: str
    data: str
    id: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.data)

    @property
    def seq(self) -> int:
        return int(self.id.rpartition("-")[2])


@dataclass
class Parser:
    """Bytes in, frames out; keeps `last_event_id` and `retry` as a browser does."""

    last_event_id: str = ""
    retry: int | None = None
    _buffer: bytes = b""
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take bytes; only CRLF, LF and CR end a line."""
        self._buffer += chunk
        frames: list[Frame] = []
        while True:
            ends = [at for at in (self._buffer.find(b"\n"), self._buffer.find(b"\r")) if at >= 0]
            if not ends:
                return frames
            at = min(ends)
            if self._buffer[at : at + 1] == b"\r" and at + 1 == len(self._buffer):
                return frames  # a LF may follow
            width = 2 if self._buffer[at : at + 2] == b"\r\n" else 1
            line, self._buffer = self._buffer[:at].decode(), self._buffer[at + width :]
            self._line(line, frames)

    def _line(self, line: str, frames: list[Frame]) -> None:
        if not line:
            if self._id is not None:
                self.last_event_id = self._id
            if self._data:
                frames.append(Frame(self._event or "message", "\n".join(self._data), self._id or ""))
            self._event, self._data, self._id = "", [], None
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retry = int(value)


class EventStream:
    """An open stream: `status`, `headers`, and its frames one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.parser = Parser()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.frames: list[Frame] = []
        """All frames so far, control frames too."""
        self.raw = b""
        """The decoded body so far."""
        self.ended = False
        self._waiting: list[Frame] = []

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        limit: int = 2**16,
    ) -> Self:
        """Connect, send the request and read the head of the answer."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=limit)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        stream = cls(reader, writer)
        try:
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except BaseException:
            stream.cut()
            raise
        stream.status = int(head[0].split()[1])
        stream.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        return stream

    async def next(self, within: float = 60.0) -> Frame:
        """Return the next frame. Raises `EOFError` at a clean end, `ConnectionError` at a cut, `TimeoutError`."""
        async with asyncio.timeout(within):
            while not self._waiting:
                frames = self.parser.feed(await self._chunk())
                self._waiting += frames
                self.frames += frames
            return self._waiting.pop(0)

    async def until(self, *events: str, within: float = 60.0) -> Frame:
        """Return the next frame of one of these types, passing over others."""
        async with asyncio.timeout(within):
            while (frame := await self.next(within)).event not in events:
                pass
            return frame

    async def rest(self, within: float = 60.0) -> list[Frame]:
        """Return all frames up to the clean end of the stream."""
        found = []
        async with asyncio.timeout(within):
            try:
                while True:
                    found.append(await self.next(within))
            except EOFError:
                return found

    def events(self) -> list[Frame]:
        """Return the frames so far that are events of the log: those with an id, but for snapshots."""
        return [frame for frame in self.frames if frame.id and frame.event != "snapshot"]

    def cut(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        try:
            while True:
                yield await self.next()
        except EOFError:
            return

    async def _chunk(self) -> bytes:
        if self.ended:
            raise EOFError("the stream has ended")
        try:
            if self.headers.get("transfer-encoding") != "chunked":
                body = await self.reader.readexactly(int(self.headers.get("content-length", 0)))
                self.ended = True
                self.raw += body
                return body
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            chunk = (await self.reader.readexactly(size + 2))[:-2]
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the stream was cut") from error
        if not size:
            self.ended = True
            raise EOFError("the stream has ended")
        self.raw += chunk
        return chunk
