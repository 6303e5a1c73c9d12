"""The server killed with SIGKILL at random points, again and again, while people ask and watch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.faults.asker import Asker, Posted
from tests.faults.invariants import check, check_channel
from tests.faults.watcher import Watcher
from tests.support.server import Server

pytestmark = pytest.mark.slow

KILLS = 12
CONVERSATIONS = 3


def prompt_for(dice: random.Random) -> dict[str, Any]:
    """Return a prompt and its responder: fast and slow ones, with thoughts and tools."""
    seed = dice.randrange(1000)
    paced = {"tokens_per_second": dice.choice([60, 300]), "first_token_delay": 0, "seed": seed}
    words = " ".join(dice.choices(["tick", "tape ", "naïve", "語", "\n", "🙂"], k=dice.randint(1, 400)))
    return dice.choice(
        [
            {"prompt": f"Say: {words}", "responder": "echo"},
            {"prompt": "A paced one", "responder": "mock", "options": {"tokens": 60, **paced}},
            {"prompt": "A tool", "responder": "mock", "options": {"tokens": 20, "tool_call": True, **paced}},
            {"prompt": "Thoughts", "responder": "mock", "options": {"tokens": 20, "reasoning_tokens": 30, **paced}},
            {"prompt": "A failure", "responder": "mock", "options": {"tokens": 30, "fail_after": 9, **paced}},
        ]
    )


class Crowd:
    """People who ask and watch over many kills."""

    def __init__(self, server: Server, stack: AsyncExitStack, dice: random.Random) -> None:
        self.server = server
        self.stack = stack
        self.dice = dice
        self.asker = Asker(server)
        self.watchers: list[Watcher] = []

    async def watch(self, posted: Posted, **more: Any) -> None:
        self.watchers.append(await self.stack.enter_async_context(Watcher(self.server, posted.events, **more)))

    async def begin(self) -> None:
        """Begin a conversation and watch it: steadily, and with cuts of one's own."""
        posted = await self.asker.ask(**prompt_for(self.dice))
        await self.watch(posted, cursor=posted.answer["cursor"])
        await self.watch(posted, cuts=random.Random(self.dice.random()))

    async def go_on(self) -> None:
        """Ask in every conversation: behind what runs there, beside it, or in its place."""
        for first in {posted.conversation_id: posted for posted in self.asker.posted}.values():
            how = {"if_running": self.dice.choice(["queue", "queue", "interrupt"])}
            if self.dice.random() < 0.2:
                how = {"parent": None}
            path = f"/conversations/{first.conversation_id}/messages"
            await self.asker.ask(path=path, **prompt_for(self.dice), **how)
        await self.asker.say(f"Round {len(self.asker.said)}\nof the kills")
        late = self.dice.choice(self.asker.posted)
        await self.watch(late)

    async def kill_soon(self) -> None:
        """Kill the server once the crowd has seen a random number of further frames, or nothing is left to see."""
        goal = sum(watcher.count for watcher in self.watchers) + self.dice.randint(1, 400)
        reached = [
            asyncio.create_task(watcher.until(lambda: sum(w.count for w in self.watchers) >= goal))
            for watcher in self.watchers
        ]
        settled = asyncio.create_task(self.all_ended())
        await asyncio.wait([*reached, settled], return_when=asyncio.FIRST_COMPLETED)
        for task in (*reached, settled):
            task.cancel()
        await asyncio.gather(*reached, settled, return_exceptions=True)
        await self.server.kill()

    async def all_ended(self) -> None:
        """Wait until no reply runs, and everybody has seen that."""
        for posted in self.asker.posted:
            await self.server.ended(posted.answer)
        for watcher in self.watchers:
            await watcher.reached((await self.server.get(f"/conversations/{watcher.conversation_id}")).json()["cursor"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
async def test_a_server_killed_again_and_again_keeps_every_promise(
    start_server: Callable[..., Awaitable[Server]], seed: int
) -> None:
    server = await start_server()
    dice = random.Random(seed)

    async with AsyncExitStack() as stack:
        crowd = Crowd(server, stack, dice)
        channel = await stack.enter_async_context(Watcher(server, "/events"))
        for _ in range(CONVERSATIONS):
            await crowd.begin()
        for _ in range(KILLS):
            asking = asyncio.create_task(crowd.go_on())
            await crowd.kill_soon()
            await server.start()
            await asking
        await crowd.all_ended()

        stories = await check(server, crowd.asker.posted, crowd.watchers)
        await check_channel(server, crowd.asker.said, channel)
        interrupted = [
            posted
            for posted in crowd.asker.posted
            if stories[posted.conversation_id].statuses()[posted.reply_id] == "interrupted"
        ]
        assert len(interrupted) >= KILLS // 2, "the kills came too late to show anything"
        assert all(
            stories[posted.conversation_id].messages[posted.reply_id].started_at is not None for posted in interrupted
        ), "a reply that had not started was interrupted instead of started"
        assert not [
            entry
            for entry in server.log
            if "Traceback" in str(entry) and entry.get("event") != "responder failed"  # the mock's, told to fail
        ]

        again = [await crowd.asker.retry(posted) for posted in interrupted[:3]]
        await crowd.all_ended()
        stories = await check(server, crowd.asker.posted, crowd.watchers)
        for posted in again:
            assert stories[posted.conversation_id].statuses()[posted.reply_id] in ("completed", "failed")
