"""The server killed with SIGKILL at points between two steps that must count as one, or in an order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults import failpoint_server
from tests.faults.asker import Asker, Posted
from tests.faults.invariants import Story, check
from tests.faults.watcher import Watcher
from tests.support.server import Server

pytestmark = pytest.mark.slow

WORDS = " ".join(f"word{n}" for n in range(300))
SLOW: dict[str, Any] = {
    "responder": "mock",
    "options": {"tokens": 5000, "tokens_per_second": 200, "first_token_delay": 0},
}


class Failing(Server):
    """A server that ends itself at a failpoint, and after that is an ordinary one."""

    def arm(self, point: str, passage: int) -> None:
        self.ordinary, self.command = self.command, [sys.executable, failpoint_server.__file__, point, str(passage)]

    async def fell(self) -> None:
        """Wait until it has killed itself."""
        assert await self.wait() == -9, f"the failpoint was not passed; the log: {self.log}"
        self.command = self.ordinary


@asynccontextmanager
async def fallen(data: Path, point: str, passage: int) -> AsyncIterator[tuple[Failing, Posted, Watcher]]:
    """Ask and watch a server that falls at a point, and start it anew."""
    server = Failing(data)
    server.arm(point, passage)
    await server.launch()
    async with AsyncExitStack() as stack:
        stack.push_async_exit(server)
        asker = Asker(server)
        asking = asyncio.create_task(asker.ask(f"Say {WORDS}", responder="echo"))
        await server.fell()
        await server.start()
        posted = await asking
        async with Watcher(server, posted.events, cursor=posted.answer["cursor"]) as watcher:
            await server.ended(posted.answer)
            yield server, posted, watcher


async def judge(server: Server, posted: Posted, *watchers: Watcher) -> Story:
    """Check all invariants once everybody has arrived, and return the story."""
    head = (await server.get(f"/conversations/{posted.conversation_id}")).json()["cursor"]
    for watcher in watchers:
        await watcher.reached(head)
    return (await check(server, [posted], watchers))[posted.conversation_id]


@pytest.mark.parametrize("passage", [1, 5], ids=["first-stream", "conversation"])
async def test_a_commit_that_was_under_way_has_not_happened(tmp_path: Path, passage: int) -> None:
    async with fallen(tmp_path, "within-a-commit", passage) as (server, posted, watcher):
        story = await judge(server, posted, watcher)

        assert story.statuses() == {posted.reply_id: "completed"}


async def test_a_commit_that_no_subscriber_heard_of_is_in_the_log(tmp_path: Path) -> None:
    server = Failing(tmp_path)
    # Passages: the broadcast channel, the prompt, the start, and then a token or a few at a time.
    server.arm("between-commit-and-wire", 20)
    async with server:
        asker = Asker(server)
        posted = await asker.ask("A slow one", **SLOW | {"options": SLOW["options"] | {"tokens_per_second": 20}})
        async with Watcher(server, posted.events, cursor=posted.answer["cursor"]) as watcher:
            await server.fell()
            await watcher.until(lambda: watcher.legs[-1].end != "open")
            heard = len(watcher.events)
            await server.start()
            await server.ended(posted.answer)

            story = await judge(server, posted, watcher)

    assert story.statuses() == {posted.reply_id: "interrupted"}
    assert len(story.frames) >= heard + 2, "besides the ending there is the commit that nobody heard of"


async def test_a_prompt_that_was_stored_and_not_answered_is_found_by_its_key(tmp_path: Path) -> None:
    async with fallen(tmp_path, "between-commit-and-201", 1) as (server, posted, watcher):
        await judge(server, posted, watcher)

        again = await server.post(posted.path, posted.body, headers={"Idempotency-Key": posted.key})
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == posted.answer


async def test_a_reply_that_was_accepted_and_not_started_starts_after_the_restart(tmp_path: Path) -> None:
    async with fallen(tmp_path, "between-accept-and-start", 1) as (server, posted, watcher):
        story = await judge(server, posted, watcher)

        assert story.statuses() == {posted.reply_id: "completed"}
        assert story.messages[posted.reply_id].text == f"Say {WORDS}"


async def test_a_reply_that_was_started_is_never_run_again(tmp_path: Path) -> None:
    async with fallen(tmp_path, "between-start-and-first-token", 1) as (server, posted, watcher):
        story = await judge(server, posted, watcher)

        assert story.statuses() == {posted.reply_id: "interrupted"}
        assert story.messages[posted.reply_id].text == ""
        assert [frame.event for frame in story.frames][-2:] == ["reply.started", "reply.ended"]


async def test_a_reply_whose_ending_was_not_stored_ends_interrupted_with_what_was(tmp_path: Path) -> None:
    async with fallen(tmp_path, "within-the-ending", 1) as (server, posted, watcher):
        story = await judge(server, posted, watcher)

        assert story.statuses() == {posted.reply_id: "interrupted"}
        assert f"Say {WORDS}".startswith(story.messages[posted.reply_id].text)


async def test_a_settling_that_was_under_way_has_not_happened(tmp_path: Path) -> None:
    async with fallen(tmp_path, "within-a-settle", 1) as (server, posted, watcher):
        story = await judge(server, posted, watcher)

        assert story.statuses() == {posted.reply_id: "completed"}
        assert story.messages[posted.reply_id].text == f"Say {WORDS}"


async def test_a_settling_of_a_running_reply_that_was_under_way_has_not_happened(tmp_path: Path) -> None:
    server = Failing(tmp_path)
    server.arm("within-a-settle", 1)
    async with server:
        asker = Asker(server)
        options = SLOW["options"] | {"tokens": 100_000, "tokens_per_second": 2000}
        other = await asker.ask("Another", **SLOW)  # runs before the long one can be settled
        posted = await asker.ask("A long one", responder="mock", options=options)
        async with Watcher(server, posted.events) as watcher:
            await server.fell()
            await server.start()
            for reply in asker.posted:
                await server.ended(reply.answer)
            await watcher.reached((await server.get(f"/conversations/{posted.conversation_id}")).json()["cursor"])

            stories = await check(server, asker.posted, [watcher])

    assert stories[posted.conversation_id].statuses() == {posted.reply_id: "interrupted"}
    assert stories[other.conversation_id].statuses() == {other.reply_id: "interrupted"}


async def test_a_recovery_that_was_killed_twice_is_taken_up_by_the_next_start(tmp_path: Path) -> None:
    server = Failing(tmp_path)
    async with server:
        asker = Asker(server)
        running = [await asker.ask(f"Number {n}", **SLOW) for n in range(3)]
        waiting = await asker.ask(
            f"Say {WORDS}",
            f"/conversations/{running[0].conversation_id}/messages",
            responder="echo",
            if_running="queue",
        )
        async with Watcher(server, running[0].events) as watcher:
            await watcher.saw(lambda frame: frame.event == "reply.delta")
            await server.kill()
            # Passages at a start: commits of the endings; the second one is killed after it was stored.
            for point, passage in (("within-recovery", 2), ("between-commit-and-wire", 1)):
                server.arm(point, passage)
                await server.launch()
                await server.fell()
            await server.start()
            for posted in asker.posted:
                await server.ended(posted.answer)
            await watcher.reached((await server.get(f"/conversations/{waiting.conversation_id}")).json()["cursor"])

            stories = await check(server, asker.posted, [watcher])

    statuses = {id: status for story in stories.values() for id, status in story.statuses().items()}
    assert [statuses[posted.reply_id] for posted in running] == ["interrupted"] * 3
    assert statuses[waiting.reply_id] == "completed"
