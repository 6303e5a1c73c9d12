"""What the tests of chat completions have in common: how one is asked, and how a refusal looks under `/v1/`."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx

from tests.api.answers import INTERNALS
from tests.api.watched import HALTING, SILENT, WatchedServer
from tests.support.sse import EventStream

PATH = "/v1/chat/completions"
ECHO: dict[str, Any] = {"model": "echo"}
WAITS: dict[str, Any] = {"model": "mock", "options": SILENT["options"]}
"""A reply that runs and says nothing until it is stopped."""
ONE_TOKEN: dict[str, Any] = {"model": "mock", "options": HALTING["options"]}
"""A reply that says one token and then nothing until it is stopped."""


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


async def complete(server: WatchedServer, *messages: Any, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """Ask and return the whole answer; a text is a user's message."""
    return await server.post(PATH, body(*messages, **more), headers=headers)


async def pour(
    server: WatchedServer, *messages: Any, headers: dict[str, str] | None = None, **more: Any
) -> EventStream:
    """Ask and read the answer as a stream."""
    return await server.pour(body(*messages, stream=True, **more), PATH, accept="*/*", headers=headers)


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    told = [user(message) if isinstance(message, str) else message for message in messages]
    return {**ECHO, "messages": told, **more}


def chunks_of(stream: EventStream) -> list[dict[str, Any]]:
    """Return the chunks of a stream that is over; each is one line of data, the last one `[DONE]`."""
    *lines, last, nothing = stream.raw.decode().split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def reply_path(headers: Any) -> str:
    return f"/conversations/{headers['x-conversation-id']}/replies/{headers['x-reply-id']}"


async def reply_of(server: WatchedServer, headers: Any) -> dict[str, Any]:
    """Return the reply that an answer's headers name, natively."""
    return (await server.get(reply_path(headers))).json()["reply"]


async def stopped(server: WatchedServer, conversation_id: str, within: float = 60.0) -> None:
    """Wait until nothing runs in a conversation, as the list tells: whoever opens it would count as its reader."""
    async with asyncio.timeout(within):
        while any(each["id"] == conversation_id and each["running"] for each in await server.state()):
            pass


def check_refusal(
    answer: httpx.Response, status: int, param: str | None = None, *, type: str | None = None, code: str | None = None
) -> None:
    """Assert that an answer is an error in OpenAI's form, and has a sentence for people."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req_[a-z2-7]{26}", answer.headers["x-request-id"])
    facts = answer.json()["error"]
    assert re.fullmatch(r"\S.*\.", facts["message"], re.DOTALL), facts
    assert not INTERNALS.search(facts["message"]), facts
    assert answer.json() == {
        "error": {
            "message": facts["message"],
            "type": type or ("server_error" if status >= 500 else "invalid_request_error"),
            "param": param,
            "code": code,
        }
    }
