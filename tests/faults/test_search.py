"""What becomes of the search index when the server is killed, or the file harmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.readiness import is_ready
from tests.support.server import Server

pytestmark = pytest.mark.slow

StartServer = Callable[..., Awaitable[Server]]


async def found(server: Server, q: str) -> list[str]:
    """Return the ids of all conversations that are found, once the index is as far as the store."""
    while (answer := await server.get("/conversations", params={"q": q, "limit": 100})).status_code == 503:
        pass
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["conversations"]]


async def ask(server: Server) -> str:
    """Ask, wait for the reply, and return the conversation's id."""
    asked = await server.ask("Tapir number", responder="echo")
    await server.ended(asked)
    return asked["conversation"]["id"]


async def test_after_a_kill_nothing_is_missed_and_nothing_is_there_twice(start_server: StartServer) -> None:
    server = await start_server()
    ids: list[str] = []
    for n in range(2):
        for _ in range(5):
            ids.insert(0, await ask(server))
            if n % 2:
                assert ids[0] in await found(server, "tapir")
        await server.restart()

        assert await found(server, "tapir") == ids


@pytest.mark.parametrize("harm", ["missing", "garbage"])
async def test_an_index_that_was_harmed_is_made_anew(start_server: StartServer, harm: str) -> None:
    server = await start_server()
    ids = [await ask(server) for _ in range(30)]
    assert len(await found(server, "tapir")) == 30
    await server.stop()
    path = server.data / "search.db"
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"\xff" * len(content))

    await server.start()

    assert await found(server, "tapir") == ids[::-1]
    await server.stop()  # then all that it wrote has been read
    assert [entry["event"] for entry in server.log].count("the search index is made anew") == 1


async def test_an_index_that_cannot_be_stored_fails_alone_and_comes_back(start_server: StartServer) -> None:
    server = await start_server()
    await server.stop()
    for path in server.data.glob("search.db*"):
        path.unlink()
    place = server.data / "search.db"
    place.mkdir()
    await server.start()

    id = await ask(server)
    refusal = await server.get("/conversations?q=tapir")
    await is_ready(server, 200)
    assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "2")
    assert "search.db" not in refusal.text
    assert (await server.get("/conversations")).json()["conversations"][0]["id"] == id

    place.rmdir()
    async with asyncio.timeout(60):
        while (await server.get("/conversations?q=tapir")).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert await found(server, "tapir") == [id]
    await server.stop()
    said = [entry["event"].partition(":")[0] for entry in server.log if entry["logger"] == "app.search"]
    assert said == ["search does not work", "the search index is made anew", "search works again"]
