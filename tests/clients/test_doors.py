"""Every door leads to the same reply: begun through one, read and stopped through any other, with their own clients."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.api.sockets import Socket
from tests.support.server import JSON, Server
from tests.support.sse import EventStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

PROMPT = "Say \U0001f9ea and more"
FOREVER = {"tokens": 100_000, "tokens_per_second": 200, "first_token_delay": 0}
SHORT = {"tokens": 40, "tokens_per_second": None, "first_token_delay": 0}


@dataclass
class Ids:
    conversation: str
    reply: str

    @property
    def path(self) -> str:
        return f"/conversations/{self.conversation}/replies/{self.reply}"

    @property
    def response(self) -> str:
        return f"resp_{self.conversation}{self.reply}"


class Reading:
    """A client that reads a reply: `begun` once it has a piece of it, `text` is all of it at its end."""

    def __init__(self, pieces: AsyncIterator[str]) -> None:
        self.begun = asyncio.Event()
        self.text = ""
        self._task = asyncio.create_task(self._read(pieces))

    async def _read(self, pieces: AsyncIterator[str]) -> None:
        async for piece in pieces:
            self.text += piece
            self.begun.set()

    async def until_begun(self) -> None:
        begun = asyncio.create_task(self.begun.wait())
        async with asyncio.timeout(20):
            await asyncio.wait({begun, self._task}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()

    async def whole(self) -> str:
        async with asyncio.timeout(20):
            await self._task
        return self.text


class Native:
    def __init__(self, server: Server, client: AsyncOpenAI) -> None:
        self.server = server

    async def ask(self, options: dict[str, Any]) -> tuple[Ids, AsyncIterator[str]]:
        asked = await self.server.ask(PROMPT, responder="mock", options=options)
        ids = Ids(asked["conversation"]["id"], asked["reply"]["id"])
        return ids, self._read(await self.server.listen(asked["events"], asked["cursor"]))

    async def read(self, ids: Ids) -> AsyncIterator[str]:
        return self._read(await self.server.listen(f"/conversations/{ids.conversation}/events?from=start"))

    async def stop(self, ids: Ids) -> None:
        assert (await self.server.post(ids.path + "/stop")).status_code == 200

    async def _read(self, stream: EventStream) -> AsyncIterator[str]:
        async with stream:
            async for frame in stream:
                if frame.event == "reply.delta":
                    yield frame.json["text"]
                if frame.event == "reply.ended":
                    return


class Chat:
    def __init__(self, server: Server, client: AsyncOpenAI) -> None:
        self.client = client

    async def ask(self, options: dict[str, Any]) -> tuple[Ids, AsyncIterator[str]]:
        stream = await self.client.chat.completions.create(
            model="mock", messages=[{"role": "user", "content": PROMPT}], stream=True, extra_body={"options": options}
        )
        headers = stream.response.headers
        return Ids(headers["x-conversation-id"], headers["x-reply-id"]), self._read(stream)

    async def _read(self, stream: Any) -> AsyncIterator[str]:
        async for chunk in stream:
            for choice in chunk.choices:
                yield choice.delta.content or ""


class Responses:
    def __init__(self, server: Server, client: AsyncOpenAI) -> None:
        self.client = client

    async def ask(self, options: dict[str, Any]) -> tuple[Ids, AsyncIterator[str]]:
        stream = await self.client.responses.create(
            model="mock", input=PROMPT, stream=True, extra_body={"options": options}
        )
        headers = stream.response.headers
        return Ids(headers["x-conversation-id"], headers["x-reply-id"]), self._read(stream)

    async def read(self, ids: Ids) -> AsyncIterator[str]:
        return self._read(await self.client.responses.retrieve(ids.response, stream=True))

    async def stop(self, ids: Ids) -> None:
        assert (await self.client.responses.cancel(ids.response)).status == "cancelled"

    async def _read(self, stream: Any) -> AsyncIterator[str]:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


class UIMessages:
    def __init__(self, server: Server, client: AsyncOpenAI) -> None:
        self.server = server

    async def ask(self, options: dict[str, Any]) -> tuple[Ids, AsyncIterator[str]]:
        message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": PROMPT}]}
        body = {"id": f"chat-{id(options)}-{asyncio.get_running_loop().time()}", "messages": [message], "model": "mock"}
        stream = await EventStream.open(
            self.server.url + "/api/chat",
            method="POST",
            headers=JSON,
            body=json.dumps(body | {"options": options}).encode(),
        )
        return Ids(stream.headers["x-conversation-id"], stream.headers["x-reply-id"]), self._read(stream)

    async def read(self, ids: Ids) -> AsyncIterator[str]:
        return self._read(await self.server.listen(f"/api/chat/{ids.conversation}/stream"))

    async def stop(self, ids: Ids) -> None:
        assert (await self.server.post(f"/api/chat/{ids.conversation}/stop")).status_code == 204

    async def _read(self, stream: EventStream) -> AsyncIterator[str]:
        async with stream:
            async for frame in stream:
                if frame.data == "[DONE]":
                    return
                if frame.json["type"] == "text-delta":
                    yield frame.json["delta"]


class WebSocket:
    def __init__(self, server: Server, client: AsyncOpenAI) -> None:
        self.server = server

    async def ask(self, options: dict[str, Any]) -> tuple[Ids, AsyncIterator[str]]:
        async with await Socket.open(self.server) as socket:
            asked = await socket.do("create", prompt=PROMPT, responder="mock", options=options)
        ids = Ids(asked["conversation"]["id"], asked["reply"]["id"])
        return ids, self._read(ids, asked["cursor"])

    async def read(self, ids: Ids) -> AsyncIterator[str]:
        hello = (await self.server.get(f"/conversations/{ids.conversation}/log")).json()["hello"]
        return self._read(ids, f"{hello['epoch']}-000000000000")

    async def stop(self, ids: Ids) -> None:
        async with await Socket.open(self.server) as socket:
            body = await socket.do("stop", conversation_id=ids.conversation, reply_id=ids.reply)
        assert body["reply"]["status"] == "cancelled"

    async def _read(self, ids: Ids, cursor: str) -> AsyncIterator[str]:
        async with await Socket.open(self.server) as socket:
            await socket.subscribe(f"conversation/{ids.conversation}", cursor)
            while (message := await socket.next())["type"] != "reply.ended":
                if message["type"] == "reply.delta":
                    yield message["text"]


DOORS: dict[str, Any] = {
    "native": Native,
    "websocket": WebSocket,
    "chat": Chat,
    "responses": Responses,
    "ui": UIMessages,
}
LEADING_BACK = [name for name in DOORS if name != "chat"]
"""The doors through which a reply can be found again; what chat completions lack, the others have."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(server: Server) -> AsyncIterator[dict[str, Any]]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield {name: door(server, client) for name, door in DOORS.items()}


async def stored(server: Server, ids: Ids) -> dict[str, Any]:
    return (await server.get(ids.path)).json()["reply"]


async def hash_of(server: Server, ids: Ids) -> str:
    async with await server.listen(f"/conversations/{ids.conversation}/events?from=start&until=idle") as stream:
        return (await stream.until("reply.ended")).json["text_sha256"]


@pytest.mark.parametrize("other", LEADING_BACK)
@pytest.mark.parametrize("first", DOORS)
async def test_begun_through_one_read_and_stopped_through_another(
    server: Server, doors: dict[str, Any], first: str, other: str
):
    ids, pieces = await doors[first].ask(FOREVER)
    asker = Reading(pieces)
    await asker.until_begun()

    reader = Reading(await doors[other].read(ids))
    await reader.until_begun()
    await doors[other].stop(ids)

    texts = [await asker.whole(), await reader.whole()]
    reply = await stored(server, ids)
    assert texts == [reply["text"]] * 2
    assert reply["status"] == "cancelled"
    assert hashlib.sha256(texts[0].encode()).hexdigest() == await hash_of(server, ids)


@pytest.mark.parametrize("other", [name for name in LEADING_BACK if name != "ui"])
@pytest.mark.parametrize("first", DOORS)
async def test_begun_through_one_and_read_whole_through_another_at_its_end(
    server: Server, doors: dict[str, Any], first: str, other: str
):
    ids, pieces = await doors[first].ask(SHORT)
    text = await Reading(pieces).whole()

    again = await Reading(await doors[other].read(ids)).whole()

    assert text == again == (await stored(server, ids))["text"] != ""
    assert hashlib.sha256(again.encode()).hexdigest() == await hash_of(server, ids)
