"""The loop that writes a stream, driven by hand where a real socket would be too kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.api import stream
from app.api.feeds import ReplyFeed
from app.api.stream import Stream, Streams
from app.ids import Cursor
from tests.support.core import Core, open_core

BeforeSend = Callable[[bytes], Awaitable[None]]


class Client:
    """An ASGI peer: `sent` is what it was sent; `before` runs ahead of each piece, as a full socket would hold it."""

    def __init__(self, before: BeforeSend) -> None:
        self.sent: list[bytes] = []
        self.ended = False
        self._before = before

    async def receive(self) -> Any:
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Any) -> None:
        if body := message.get("body"):
            await self._before(body)
            self.sent.append(body)
        self.ended = message["type"] == "http.response.body" and not message["more_body"]

    def events(self) -> list[str]:
        lines = b"".join(self.sent).decode().splitlines()
        return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


async def read(core: Core, asked: Any, client: Client) -> None:
    cursor = Cursor.parse(asked.cursor)
    assert cursor
    async with core.log.tails.open(f"conversation/{asked.conversation.id}") as tail:
        feed = ReplyFeed(core.engine, core.running, tail, cursor.seq, asked.reply.id)
        await Stream(core.log.tails, Streams(9), feed)({"type": "http"}, client.receive, client.send)  # type: ignore[typeddict-item]


@pytest.mark.timeout(20)
async def test_a_reply_that_ends_while_a_ping_waits_is_sent_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def slow(prompt: Any) -> Any:
        yield "one "
        await go_on.wait()
        yield "two"

    async with open_core(tmp_path, slow) as core:
        asked = await core.ask()

        async def end_the_reply_behind_a_ping(body: bytes) -> None:
            if b"event: ping" in body:
                go_on.set()
                await core.until(asked)

        client = Client(end_the_reply_behind_a_ping)
        await read(core, asked, client)

    assert client.ended
    assert [event for event in client.events() if event != "ping"][-3:] == ["reply.delta", "reply.delta", "reply.ended"]


@pytest.mark.timeout(20)
async def test_a_conversation_that_is_deleted_under_a_slow_reader_says_bye(tmp_path: Path) -> None:
    deleted = asyncio.Event()

    async def long(prompt: Any) -> Any:
        for number in range(3000):
            yield f"{number} "
        await asyncio.get_running_loop().create_future()

    async with open_core(tmp_path, long) as core:
        asked = await core.ask()

        async def wait_for_the_end(body: bytes) -> None:
            if b"event: reply.delta" in body:
                await deleted.wait()

        client = Client(wait_for_the_end)
        reading = asyncio.create_task(read(core, asked, client))
        await core.until_text(asked, "".join(f"{number} " for number in range(3000)))
        async with core.conversations.open("local", asked.conversation.id) as tail:
            await core.conversations.delete(tail)
        deleted.set()
        await reading

    assert client.ended
    assert client.events()[-1] == "bye"
