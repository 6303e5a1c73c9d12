"""A client that asks with idempotency keys, and repeats a request until it has its answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.server import Server

AGAIN_AFTER = 0.02


@dataclass
class Posted:
    """A prompt that was accepted: the request, and the body of its 201."""

    path: str
    body: dict[str, Any]
    key: str
    answer: dict[str, Any]

    @property
    def conversation_id(self) -> str:
        return self.answer["conversation"]["id"]

    @property
    def reply_id(self) -> str:
        return self.answer["reply"]["id"]

    @property
    def events(self) -> str:
        return self.answer["events"]


class Asker:
    """Posts, and remembers what was `posted` and how often a request had to be repeated."""

    def __init__(self, server: Server, name: str = "asker") -> None:
        self.server = server
        self.posted: list[Posted] = []
        self.said: list[str] = []
        self.repeated = 0
        self._name = name
        self._count = 0

    async def ask(self, prompt: str = "Hello there", path: str = "/conversations", **fields: Any) -> Posted:
        """Ask, over restarts if it must be, until a 201 says that it is accepted."""
        return await self._post(path, {"prompt": prompt, **fields})

    async def retry(self, posted: Posted) -> Posted:
        """Retry a reply that has ended."""
        path = f"/conversations/{posted.conversation_id}/replies/{posted.reply_id}/retry"
        return await self._post(path, {})

    async def say(self, message: str) -> None:
        """Say something on the broadcast channel, once."""
        await self._repeat("/send-message", {"message": message})
        self.said.append(message)

    async def _post(self, path: str, body: dict[str, Any]) -> Posted:
        key, answer = await self._repeat(path, body)
        posted = Posted(path, body, key, answer.json())
        self.posted.append(posted)
        return posted

    async def _repeat(self, path: str, body: dict[str, Any]) -> tuple[str, httpx.Response]:
        self._count += 1
        key = f"{self._name}-{self._count}"
        while True:
            try:
                answer = await self.server.post(path, body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                return key, answer
            assert answer is None or answer.status_code in (429, 503), answer.text
            self.repeated += 1
            await asyncio.sleep(AGAIN_AFTER)
