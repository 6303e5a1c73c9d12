"""A restart (G6): ready soon however much is stored, and every subscriber goes on where it stood."""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.asker import Asker
from tests.faults.filled import fill
from tests.faults.invariants import Story, check_log, check_watcher, list_conversations
from tests.faults.watcher import Watcher
from tests.support.server import Server

pytestmark = pytest.mark.slow

CONVERSATIONS = 1000
SUBSCRIBERS = 20
StartServer = Callable[..., Awaitable[Server]]


async def test_every_subscriber_of_a_large_store_goes_on_where_it_stood(
    start_server: StartServer, tmp_path: Path
) -> None:
    ids = await fill(tmp_path / "data", CONVERSATIONS)
    server = await start_server(data=tmp_path / "data")
    chosen = random.Random(6).sample(ids, SUBSCRIBERS)
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(Watcher(server, f"/conversations/{id}/events?from=start")) for id in chosen
        ]
        for watcher in watchers:
            await watcher.saw(lambda frame: frame.event == "reply.ended")

        await server.restart()
        for watcher in watchers:
            await server.ask("And on", f"/conversations/{watcher.conversation_id}/messages", responder="echo")
            await watcher.until(lambda: [frame.event for frame in watcher.frames].count("reply.ended") == 2)  # noqa: B023

        for watcher in watchers:
            story = await Story.read(server, watcher.conversation_id)
            check_log(story)
            check_watcher(watcher, story)
            hellos = [leg.frames[0].json for leg in watcher.legs]
            assert [hello["resumed"] for hello in hellos] == [False, True]
            assert hellos[0]["epoch"] == hellos[1]["epoch"]
        assert sorted(await list_conversations(server)) == sorted(ids)


async def test_a_cursor_of_a_store_that_was_put_back_is_refused(start_server: StartServer, tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    server = await start_server(data=data)
    asker = Asker(server)
    kept = await asker.ask("Say this", responder="echo")
    await server.ended(kept.answer)
    await server.post("/send-message", {"message": "Kept"})
    before = (await server.get(f"/conversations/{kept.conversation_id}")).json()["cursor"]
    await server.stop()
    shutil.copytree(data, copy)
    await server.start()
    assert (await server.get(f"/conversations/{kept.conversation_id}")).json()["cursor"] == before
    lost = await server.ask("Say more", f"/conversations/{kept.conversation_id}/messages", responder="echo")
    await server.ended(lost)
    await server.post("/send-message", {"message": "Lost"})
    old = (await server.get(f"/conversations/{kept.conversation_id}")).json()["cursor"]
    async with await server.listen("/events?from=start") as channel:
        old_of_channel = [await channel.until("message"), await channel.until("message")][1].id
    await server.stop()
    shutil.rmtree(data)
    copy.rename(data)

    await server.start()

    story = await Story.read(server, kept.conversation_id)
    check_log(story)
    assert story.statuses() == {kept.reply_id: "completed"}
    for path, cursor in ((kept.events, old), ("/events", old_of_channel)):
        async with await server.listen(path, cursor=cursor) as stream:
            hello = (await stream.next()).json
        assert (hello["resumed"], hello["reason"]) == (False, "epoch")
        assert not cursor.startswith(hello["epoch"])
