"""A resuming client for the command line, tests and benchmarks: it speaks HTTP, and knows nothing of the house."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=30)  # the server pings every 15 s
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError, EOFError)
Refused = aiohttp.ClientResponseError  # the server's no, which another try would not change: `status`, `message`


class Event(NamedTuple):
    """An event; `id` is empty where it is not in the log, and `data` is JSON but for broadcast texts."""

    id: str
    type: str
    data: str


async def parse(read: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[dict[str, list[str]], None]:
    """Yield blocks of fields by the WHATWG rules: only CR, LF and CRLF end a line, wherever chunks are cut."""
    line, after_cr, block = bytearray(), False, dict[str, list[str]]()
    while True:
        async with asyncio.timeout(TIMEOUT.sock_read):  # aiohttp alone waits for ever behind a malformed chunk
            if not (chunk := await read()):
                raise EOFError("the server has ended the stream")
        for piece in chunk.removeprefix(b"\n" if after_cr else b"").splitlines(keepends=True):
            line += piece
            if piece.endswith((b"\r", b"\n")):
                name, colon, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
                line.clear()
                block.setdefault(name, []).append(value.removeprefix(" "))
                if not name and not colon:
                    yield block
                    block = {}
        after_cr = chunk.endswith(b"\r")


class Client(AbstractAsyncContextManager["Client"]):
    """One server's client. Before it tries again it awaits `pause(seconds, why)`, which gives up by raising."""

    def __init__(self, url: str, pause: Callable[[float, Exception], Awaitable[Any]] = asyncio.sleep) -> None:
        self._url, self._pause = url.rstrip("/"), pause
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)  # many servers close what idles for 5 s
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, raise_for_status=_check)

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, prompt: str, path: str = "/conversations", *, key: str = "", **fields: Any) -> Any:
        """POST a prompt, and return the answer; it is accepted once, however often it has to be sent."""
        return await self.call("POST", path, {"prompt": prompt, **fields}, key)

    async def stop(self, conversation_id: str, reply_id: str) -> Any:
        """Stop a reply, and return it."""
        return (await self.call("POST", f"/conversations/{conversation_id}/replies/{reply_id}/stop", {}))["reply"]

    async def call(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """Send a request until it is answered, and return the answer's JSON. Raises `Refused`."""
        seconds, headers = 0.5, {"Idempotency-Key": key or uuid4().hex}
        while True:
            try:
                async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
                    return await answer.json()
            except LOST as why:
                await self._pause((seconds := min(2 * seconds, 8)) * random.uniform(0.5, 1), why)  # noqa: S311

    async def events(self, path: str, cursor: str = "", retry: float = 1.0) -> AsyncGenerator[Event, None]:
        """Yield each event after a cursor once, over all connections; `hello` and `snapshot` too. Raises `Refused`."""
        while True:
            try:
                async with self._session.get(self._url + path, headers={"Last-Event-ID": cursor}) as answer:
                    if answer.status == 204:  # the end that `until=idle` asks for
                        return
                    async for block in parse(answer.content.readany):
                        retry = int(block["retry"][-1]) / 1000 if "retry" in block else retry
                        id, type = block.get("id", [""])[-1], block.get("event", ["message"])[-1]
                        cursor = id or cursor
                        if type == "hello" and path.startswith("/events"):  # there no snapshot brings the cursor
                            cursor = json.loads(block["data"][0])["cursor"]
                        if "data" in block and type not in ("ping", "bye"):
                            yield Event(id, type, "\n".join(block["data"]))
            except LOST as why:
                await self._pause(retry * random.uniform(1, 1.5), why)  # noqa: S311 - so that not all return at once


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        reason = (await answer.json())["detail"] if answer.content_type.endswith("/problem+json") else answer.reason
        refused = Refused(answer.request_info, answer.history, status=answer.status, message=str(reason))
        raise aiohttp.ClientConnectionError(reason) if answer.status in (429, 502, 503, 504) else refused
