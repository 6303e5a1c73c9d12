"""Everything below the edge, over a real log and a real database, with responders that a test writes itself."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.conversations import Conversations
from app.departures import Departures
from app.engine.base import Commit
from app.engine.sqlite import SQLiteEngine
from app.errors import NotStoring
from app.events import Event, ReplyDelta, ReplyEnded, ReplyStarted
from app.history import History, fold
from app.idempotency import Answers
from app.ids import conversation_stream
from app.log import Log
from app.messages import Reply
from app.questions import Asked, Question
from app.running import Running
from app.settings import Settings
from app.subscription import BEHIND, Subscription
from responders.registry import Registry
from responders.responder import Responder

WITHIN = 20.0
"""Seconds after which a state that a test waits for is taken never to come."""


class MoodyEngine(SQLiteEngine):
    """A real engine whose disk a test can fill, and whose commits it can hold back."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.full = False
        self.passing = asyncio.Event()
        self.passing.set()
        self.reached = asyncio.Event()
        """Set when a commit is held back."""
        self.refused = asyncio.Event()
        """Set when a commit was refused because the disk is full."""

    async def commit(self, commit: Commit) -> None:
        if not self.passing.is_set():
            self.reached.set()
        await self.passing.wait()
        if self.full:
            self.refused.set()
            raise NotStoring("The disk is full.")
        await super().commit(commit)


@dataclass
class Core:
    engine: MoodyEngine
    log: Log
    running: Running
    departures: Departures
    conversations: Conversations
    crashed: bool = False

    def crash(self) -> None:
        """End without a drain: what runs stays unfinished in the store, as after a kill."""
        self.crashed = True

    async def ask(self, prompt: str = "Hello there", **fields: Any) -> Asked:
        """Begin a conversation."""
        asked, _ = await self.conversations.create("local", Question.of(prompt, **fields))
        return asked

    async def follow(self, asked: Asked, prompt: str = "And then?", **fields: Any) -> Asked:
        """Add a prompt to a conversation."""
        async with self.conversations.open("local", asked.conversation.id) as tail:
            again, _ = await self.conversations.ask(tail, Question.of(prompt), **fields)
            return again

    async def stop(self, asked: Asked) -> Reply:
        """Stop a reply."""
        async with self.conversations.open("local", asked.conversation.id) as tail:
            return await self.conversations.stop(tail, asked.reply.id)

    async def reply(self, asked: Asked) -> Reply:
        """Return a reply as it stands."""
        async with self.conversations.open("local", asked.conversation.id) as tail:
            return await self.conversations.reply(tail, asked.reply.id)

    async def until(self, asked: Asked, *statuses: str) -> Reply:
        """Wait until a reply has one of these statuses, any ending where none is given, and return it."""
        async with asyncio.timeout(WITHIN), self.conversations.open("local", asked.conversation.id) as tail:
            while True:
                changed = tail.changed
                reply = await self.conversations.reply(tail, asked.reply.id)
                if reply.status in statuses or (not statuses and not reply.live):
                    return reply
                await changed.wait()

    async def ended(self, asked: Asked) -> Reply:
        """Wait until a reply has ended, check what holds for every ending, and return it."""
        reply = await self.until(asked)
        events = await self.events(asked)
        own = [event for event in events if getattr(event, "reply_id", None) == reply.id]
        (ending,) = [event for event in own if isinstance(event, ReplyEnded)]
        text = "".join(event.text for event in own if isinstance(event, ReplyDelta) and event.kind is None)
        assert own[-1] is ending
        assert [event for event in own if isinstance(event, ReplyStarted)] in ([], own[:1])
        assert len(own) == 1 or isinstance(own[0], ReplyStarted)
        assert ending.text == text == reply.text
        assert ending.text_sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert ending.usage.partial == (ending.status != "completed")
        history = History(msgspec.structs.replace(asked.conversation, head=None, running=()))
        for event in events:
            fold(history, event)
        assert history.messages[reply.id] == reply
        return reply

    async def until_text(self, asked: Asked, text: str) -> None:
        """Wait until so much of a reply's text is committed."""
        async with asyncio.timeout(WITHIN), self.conversations.open("local", asked.conversation.id) as tail:
            while True:
                changed = tail.changed
                if (await self.conversations.reply(tail, asked.reply.id)).text == text:
                    return
                await changed.wait()

    async def until_quiet(self) -> None:
        """Wait until no reply runs and no stream is held in memory."""
        async with asyncio.timeout(WITHIN):
            while len(self.running) or self.log.tails.held:  # noqa: ASYNC110 - nobody is told when a tail is let go
                await asyncio.sleep(0.001)

    async def events(self, asked: Asked) -> list[Event]:
        """Return the events of a conversation, from its first one."""
        async with self.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            subscription = Subscription(self.engine, tail, 0, far_behind=None)
            events: list[Event] = []
            while subscription.after < tail.head:
                records = await subscription.poll()
                assert records is not BEHIND
                events += (record.event() for record in records)
            return events


@asynccontextmanager
async def open_core(folder: Path, *sources: Any, **settings: Any) -> AsyncIterator[Core]:
    """Open a core whose responders are `sources`, named as they are; the first one is the default."""
    responders = [Responder(source.__name__, source) for source in sources]
    registry = Registry(responders, default=responders[0].name if responders else "none")
    engine = MoodyEngine(folder)
    async with Log(engine) as log:
        read = Settings(data=str(folder), **settings)
        running = Running(log, registry, read)
        departures = Departures(log, running)
        conversations = Conversations(log, running, departures, Answers(engine), registry=registry, settings=read)
        core = Core(engine, log, running, departures, conversations)
        await conversations.recover()
        try:
            yield core
        finally:
            engine.full = False
            engine.passing.set()
            await departures.close()
            if not core.crashed:
                await running.drain(0, asyncio.Event())
            await running.close()
