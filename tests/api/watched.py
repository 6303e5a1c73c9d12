"""A server that remembers what it was told, to prove that its log does not."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.support.contract import contract
from tests.support.server import JSON, Server
from tests.support.sse import EventStream

QUICK: dict[str, Any] = {"responder": "echo"}
"""A reply that is complete at once."""
SILENT: dict[str, Any] = {"responder": "mock", "options": {"first_token_delay": 3600}}
"""A reply that runs and says nothing until it is stopped."""
HALTING: dict[str, Any] = {"responder": "mock", "options": {"first_token_delay": 0, "tokens_per_second": 0.01}}
"""A reply that says one token and then nothing until it is stopped."""

SECRET = "quetzal"
"""Prompts that are not sent by `post` hold this word; it must not come back in the log."""
_TOLD_FIELDS = ("prompt", "system", "title", "message")


class WatchedServer(Server):
    """A real server, held to the OpenAPI document in each answer; `told` holds what people wrote to it."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.told = {SECRET}
        self.client.event_hooks["response"].append(contract().check)

    async def post(self, path: str, body: object = None, **more: Any) -> httpx.Response:
        if isinstance(body, dict):
            texts = (body.get(field) for field in _TOLD_FIELDS)
            self.told |= {text for text in texts if isinstance(text, str) and len(text) >= 8}
        return await super().post(path, body, **more)

    async def send(self, path: str, content: bytes, *, method: str = "POST", **headers: str) -> httpx.Response:
        """Send bytes as they are; a header's underscores are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, self.url + path, content=content, headers=JSON | given)

    async def pour(
        self,
        body: object,
        path: str = "/conversations",
        *,
        accept: str = "text/event-stream",
        headers: dict[str, str] | None = None,
    ) -> EventStream:
        """POST and read the answer as a stream."""
        return await EventStream.open(
            self.url + path,
            method="POST",
            headers=JSON | {"Accept": accept} | (headers or {}),
            body=json.dumps(body).encode(),
        )

    async def conversations(self) -> list[str]:
        """Return the ids of all conversations, newest activity first."""
        return [conversation["id"] for conversation in await self.state()]

    async def state(self) -> list[dict[str, Any]]:
        """Return all conversations: whatever is stored in one shows there, in its head or the time of its update."""
        found: list[dict[str, Any]] = []
        place = ""
        while place is not None:
            page = (await self.get(f"/conversations?limit=100&before={place}")).json()
            found += page["conversations"]
            place = page["next"]
        return found

    async def stop_reply(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Stop the reply of a 201's body, and return it."""
        answer = await self.post(reply_path(asked) + "/stop")
        assert answer.status_code == 200, answer.text
        return answer.json()["reply"]

    async def ask_retry(self, asked: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Retry the reply of a 201's body, and return the new reply when it has ended."""
        answer = await self.post(reply_path(asked) + "/retry", fields)
        assert answer.status_code == 201, answer.text
        return await self.ended(answer.json())

    async def log_of(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all events of an idle conversation, each with its `id`."""
        async with await self.listen(asked["events"] + "?from=start&until=idle") as stream:
            await stream.rest()
            return [frame.json | {"id": frame.id} for frame in stream.events()]

    def check_log(self) -> None:
        """Assert that nothing went wrong unnoticed, and that nothing people wrote is in the log."""
        assert [entry for entry in self.log if not isinstance(entry, dict)] == []
        assert [entry for entry in self.log if entry["level"] in ("error", "critical") or "exception" in entry] == []
        written = json.dumps(self.log, ensure_ascii=False)
        assert [text for text in self.told if text in written] == []


def path_of(asked: dict[str, Any]) -> str:
    """Return the path of the conversation of a 201's body."""
    return f"/conversations/{asked['conversation']['id']}"


def reply_path(asked: dict[str, Any]) -> str:
    """Return the path of the reply of a 201's body."""
    return f"{path_of(asked)}/replies/{asked['reply']['id']}"


def text_of(events: list[dict[str, Any]]) -> str:
    """Join the text of a reply's deltas."""
    return "".join(event["text"] for event in events if event["type"] == "reply.delta")
