"""Asks Tickertape for a reply without reading it, which the peers cannot: theirs belong to the connection that asks."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass

from benchmarks.checks import Wrong
from benchmarks.servers import Server, request

ANSWER_SECONDS = 60
"""The prompt of a long conversation holds all of it."""


@dataclass(frozen=True)
class Asked:
    """Where a reply's events are, and the cursor after which they begin."""

    events: str
    cursor: str

    @property
    def conversation(self) -> str:
        """The id of its conversation."""
        return self.events.split("/")[-2]

    def watch(self, cursor: str | None = None, *, until_idle: bool = False) -> bytes:
        """Return the request for the stream from a cursor on, by default from the prompt."""
        path = self.events + ("?until=idle" if until_idle else "")
        return request("GET", path, accept="text/event-stream", cursor=cursor or self.cursor)


async def ask(server: Server, tokens: int, per_second: float | None = None, *, conversation: str = "") -> Asked:
    """Ask in a new conversation, or in one that is there, where it starts when the reply before it has ended."""
    path, body = server.contender.chat, server.contender.question(tokens, per_second)
    if conversation:
        path, body = f"{path}/{conversation}/messages", {**body, "if_running": "queue"}
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("POST", path, body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not (length := re.search(rb"content-length: *(\d+)", head)):
            raise Wrong(f"an answer without a length: {head!r}")
        answer = json.loads(await reader.readexactly(int(length[1])))
        writer.close()
        await writer.wait_closed()
    return Asked(answer["events"], answer["cursor"])
