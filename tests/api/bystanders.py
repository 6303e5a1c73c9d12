"""Streams beside the tests: one that flows, and some that are quiet."""

from __future__ import annotations

import asyncio
import hashlib
import math
from contextlib import suppress
from typing import Any

from tests.api.watched import SILENT, WatchedServer, reply_path
from tests.support.sse import EventStream

FLOWS_WITHIN = 20.0


class Control:
    """A reply of two hundred tokens a second, and a subscriber that reads all of it from its first event.

    It reads all the time, for one that left the stream alone while the other tests run would be cut.
    """

    def __init__(self, server: WatchedServer, asked: dict[str, Any], stream: EventStream) -> None:
        self.server = server
        self.asked = asked
        self.stream = stream
        self._pieces: list[str] = []
        self._length = 0
        self._grown = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, server: WatchedServer) -> Control:
        options = {"tokens": 100_000, "tokens_per_second": 200, "first_token_delay": 0}
        asked = await server.ask("What does a control say all day?", responder="mock", options=options)
        stream = await server.listen(asked["events"] + "?until=idle", asked["cursor"])
        return cls(server, asked, stream)

    async def flows(self) -> None:
        """Assert that tokens still arrive: events that were appended after this call was made."""
        reply = (await self.server.get(reply_path(self.asked))).json()["reply"]
        assert reply["status"] in ("accepted", "running")
        async with asyncio.timeout(FLOWS_WITHIN):
            while self._length <= len(reply["text"]):
                assert not self._reading.done(), f"the stream has ended: {self._reading}"
                self._grown.clear()
                await self._grown.wait()

    async def end(self) -> None:
        """Stop the reply, and assert that the subscriber saw one unbroken log (I1, I2, I4, I8)."""
        await self.server.stop_reply(self.asked)
        async with asyncio.timeout(FLOWS_WITHIN):
            await self._reading
        events = self.stream.events()
        ending = events[-1].json
        self.stream.cut()

        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [frame.event for frame in self.stream.frames if not frame.id and frame.event != "ping"] == ["hello"]
        assert [event.event for event in events].count("reply.ended") == 1
        assert ending["status"] == "cancelled"
        assert ending["text"] == "".join(self._pieces)
        assert ending["text_sha256"] == hashlib.sha256(ending["text"].encode()).hexdigest()

    async def _read(self) -> None:
        try:
            with suppress(EOFError):
                while True:
                    frame = await self.stream.next(within=math.inf)
                    if frame.event == "reply.delta":
                        self._pieces.append(frame.json["text"])
                        self._length += len(self._pieces[-1])
                    self._grown.set()
        finally:
            self._grown.set()


class Quiet:
    """A conversation, a POST's answer and the broadcast channel; on the first two nothing happens but pings."""

    def __init__(self, asked: dict[str, Any], streams: list[EventStream], began: float) -> None:
        self.asked = asked
        self.streams = streams
        self.began = began
        """Before the first of them was opened."""
        self.opened = asyncio.get_running_loop().time()

    @classmethod
    async def open(cls, server: WatchedServer) -> Quiet:
        asked = await server.ask("Be quiet all the time", **SILENT)
        async with await server.listen(asked["events"], asked["cursor"]) as stream:
            await stream.until("reply.started")
        began = asyncio.get_running_loop().time()
        streams = [
            await server.listen(asked["events"]),
            await server.pour({"prompt": "Be quiet as well", **SILENT}),
            await server.listen("/events"),
        ]
        return cls(asked, streams, began)

    def close(self) -> None:
        for stream in self.streams:
            stream.cut()
