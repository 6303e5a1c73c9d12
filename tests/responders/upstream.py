"""An OpenAI-compatible upstream on a real socket, which answers what it is told to, byte for byte."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Self

DONE = b"data: [DONE]\n\n"


class Step(NamedTuple):
    """Something that an upstream does beside sending bytes."""

    name: str


HOLD = Step("hold")  # say nothing until the other side is gone
RESET = Step("reset")  # drop the connection with a reset
DEAF = Step("deaf")  # never read the request
DRIP = Step("drip")  # keep-alive comments until the other side is gone

Script = list[bytes | Step]


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: Any


class Upstream:
    """Runs one script for each connection, and the last one again for all that follow.

    `requests` is what was asked; `connections` counts those that are open, and `changed` is notified of every change.
    """

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []
        self.connections = 0
        self.accepted = 0
        self.changed = asyncio.Condition()
        self.port = 0
        self._open: dict[asyncio.Task[None], asyncio.Transport] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def until(self, condition: Callable[[], bool], within: float = 60.0) -> None:
        """Wait until something is true of this upstream."""
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(condition)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in self._open.values():
            transport.abort()
        await asyncio.gather(*self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self._open[asyncio.current_task()] = writer.transport
        await self._count(1)
        try:
            await self._play(script, reader, writer)
        except (OSError, EOFError):  # the other side is gone, and that may be what is tried
            pass
        finally:
            writer.transport.abort() if RESET in script else writer.close()
            await self._count(-1)
            del self._open[asyncio.current_task()]

    async def _count(self, change: int) -> None:
        async with self.changed:
            self.connections += change
            self.accepted += change > 0
            self.changed.notify_all()

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if script[0] is DEAF:
            writer.transport.pause_reading()
            while not writer.transport.is_closing():  # whose end is seen by writing, since nothing is read
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await asyncio.sleep(0.01)
            return
        request = await read_request(reader)
        async with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                    for _ in range(3):  # lets the other side read it before the next one
                        await asyncio.sleep(0)
                case Step("hold"):
                    await reader.read()
                case Step("drip"):
                    while not writer.transport.is_closing():
                        writer.write(b": keep-alive\n\n")
                        await asyncio.sleep(0.01)
                case Step("reset"):
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def read_request(reader: asyncio.StreamReader) -> Request:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(line, headers, json.loads(body) if body else None)


# What it may say


def head(status: int = 200, type: str = "text/event-stream", **more: object) -> bytes:
    """The head of an answer that lasts until the connection ends."""
    headers = {"Content-Type": type, "Connection": "close"} | {k.replace("_", "-"): v for k, v in more.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def refusal(status: int, error: object = None, *, type: str = "application/json", **headers: object) -> Script:
    """An answer that is an error."""
    body = b"" if error is None else error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return [head(status, type, content_length=len(body), **headers) + body]


def event(content: object = None, *, finish: str | None = None, **delta: object) -> bytes:
    """One event with one choice."""
    if content is not None:
        delta["content"] = content
    return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def chunk(**fields: object) -> bytes:
    """One event with these fields."""
    same = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764967971, "model": "m"}
    return b"data: " + json.dumps({**same, **fields}).encode() + b"\n\n"


def called(index: int | None, arguments: str | None = None, *, id: str | None = None, name: str | None = None) -> bytes:
    """One event with a piece of a call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece = {"index": index, "id": id, "function": function}
    return event(tool_calls=[{key: value for key, value in piece.items() if value is not None}])


HELLO: Script = [head(), event(role="assistant"), event("Hello"), event(" there"), event(finish="stop"), DONE]


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
