"""What can be done to conversations: ask, retry, stop, rename, delete. Every door calls these; nothing else writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from app.branches import CLIENT
from app.departures import Departures
from app.engine.base import AddMessage, CreateConversation, Rename, Row, SaveNote
from app.errors import Full, Invalid, NotFound, StillRunning
from app.events import ConversationUpdated, Event, ReplyCreated
from app.history import History
from app.idempotency import Answers, Key
from app.ids import conversation_stream, new_id
from app.log import Log
from app.messages import Conversation, Message, Reply
from app.questions import Asked, Question, choose
from app.running import Running
from app.settings import Settings
from app.snapshots import Known, history_of, read_message
from app.tail import Tail
from app.titles import UNTITLED, check_title, first_words
from app.turns import check_parameters, check_turns, new_reply, tell
from responders.registry import Registry
from responders.responder import Responder

IfRunning = Literal["queue", "interrupt"]


class Conversations:
    """The commands. Each checks everything first, and then writes one commit: all of it has happened, or nothing."""

    def __init__(
        self,
        log: Log,
        running: Running,
        departures: Departures,
        answers: Answers,
        *,
        registry: Registry,
        settings: Settings,
    ) -> None:
        self._log = log
        self._running = running
        self._departures = departures
        self._answers = answers
        self._registry = registry
        self._settings = settings

    async def recover(self) -> None:
        """Take up what an earlier process left: what ran ends as interrupted, what was only accepted starts."""
        for conversation_id in await self._log.engine.unfinished():
            async with self._log.tails.open(conversation_stream(conversation_id)) as tail:
                self._running.recover(tail)
                if tail.transient:
                    self._departures.drop_when_read(tail, unread=False)

    @asynccontextmanager
    async def open(self, principal: str, conversation_id: str) -> AsyncIterator[Tail]:
        """Hold a conversation of a principal. Raises `NotFound`, the same for an unknown one and a foreign one."""
        async with self._log.tails.open(conversation_stream(conversation_id)) as tail:
            history_of(tail)
            if tail.principal != principal:
                raise NotFound("There is no such conversation.")
            tail.reads += 1
            yield tail

    async def kept(self, key: Key | None) -> Asked | None:
        """Return the answer that an earlier request with this key was given; waits for one that is on its way."""
        async with self._answers.once(key) as kept:
            return Asked.again(kept) if kept else None

    async def create(
        self,
        principal: str,
        question: Question,
        *,
        title: str | None = None,
        transient: bool = False,
        alias: str | None = None,
        key: Key | None = None,
    ) -> tuple[Asked, bool]:
        """Begin a conversation; says too whether the answer was kept from an earlier request.

        A transient one goes once its reply has ended and was read, and nothing is kept for a repeated request. An
        `alias` is an id that the client has given it.
        """
        key = None if transient else key
        # Ahead of every lock, here and below: it may take long, and neither a stop nor another prompt may wait for it.
        await self._registry.refresh(question.responder, until=self._running.draining)
        async with self._answers.once(key) as kept:
            if kept:
                return Asked.again(kept), True
            responder = self._check(question)
            now = _now()
            first = next((turn.text for turn in question.turns if turn.role == "user" and turn.text.strip()), UNTITLED)
            prompt_title = check_title(title) if title is not None else first_words(first)
            conversation = Conversation(
                id=new_id(), title=prompt_title, head=None, running=(), created_at=now, updated_at=now
            )
            stream, history = conversation_stream(conversation.id), History(conversation)
            tail, created = self._log.tails.create(stream, history=history, principal=principal, transient=transient)
            try:
                self._check_room(history, question)
                with self._running.place(tail):
                    rows: list[Row] = [created, CreateConversation(principal, conversation, transient, alias)]
                    async with tail.command:
                        asked = await self._accept(
                            tail,
                            question,
                            responder,
                            parent=None,
                            now=now,
                            key=key,
                            rows=rows,
                            titled=title is not None,
                        )
                if transient:
                    self._departures.drop_when_read(tail)
                return asked, False
            finally:
                self._log.tails.release(tail)

    async def ask(
        self,
        tail: Tail,
        question: Question,
        *,
        parent: str | msgspec.UnsetType | None = msgspec.UNSET,
        if_running: IfRunning | None = None,
        key: Key | None = None,
    ) -> tuple[Asked, bool]:
        """Add a prompt to a conversation; says too whether the answer was kept from an earlier request."""
        await self._registry.refresh(question.responder, until=self._running.draining)
        async with self._answers.once(key) as kept, tail.command:
            if kept:
                return Asked.again(kept), True
            responder = self._check(question)
            history = history_of(tail)
            follows = history.head if parent is msgspec.UNSET else parent
            if follows is not None and follows not in history.messages:
                raise Invalid("There is no such message in this conversation.", "parent")
            self._check_room(history, question)
            live = follows is not None and history.messages[follows].live
            if live and if_running is None:
                raise StillRunning("The reply that this prompt follows has not ended.", tuple(history.running))
            interrupts = live and if_running == "interrupt"
            with self._running.place(tail, waits=live and not interrupts, replaces=interrupts):
                if follows and interrupts:
                    await self._running.stop(follows)
                return await self._accept(tail, question, responder, parent=follows, now=_now(), key=key), False

    async def retry(
        self,
        tail: Tail,
        reply_id: str,
        *,
        responder: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: Key | None = None,
    ) -> tuple[Asked, bool]:
        """Answer the same prompt anew, beside the old reply; what is not given is as it was for that one."""
        old = await self._log.engine.reply(history_of(tail).id, reply_id)
        if old is None or old.reply.parent is None:
            raise NotFound("There is no such reply.")
        before = self._registry.default if old.reply.responder == CLIENT else old.reply.responder
        name = before if responder is None else responder
        if options is None:
            options = old.parameters.options if name == before else {}
        parameters = msgspec.structs.replace(old.parameters, options=options, note={})
        await self._registry.refresh(name, until=self._running.draining)
        async with self._answers.once(key) as kept, tail.command:
            if kept:
                return Asked.again(kept), True
            history = history_of(tail)
            if history.messages[reply_id].live:
                raise StillRunning("This reply has not ended.", tuple(history.running))
            question = Question(turns=(), responder=name, parameters=parameters)
            chosen = self._check(question)
            self._check_room(history, question)
            prompt = history.messages[old.reply.parent]
            follows = history.messages[prompt.parent] if prompt.parent else None
            with self._running.place(tail, waits=follows is not None and follows.live):
                return await self._accept(tail, question, chosen, parent=prompt.id, now=_now(), key=key), False

    async def stop(self, tail: Tail, reply_id: str) -> Reply:
        """Stop a reply; one that has ended stays as it is."""
        async with tail.command:  # a reply is known to `Running` once the command that accepted it is over
            reply = await self.reply(tail, reply_id)
        if reply.live:
            await self._running.stop(reply_id)
            reply = await self.reply(tail, reply_id)
        return reply

    async def reply(self, tail: Tail, reply_id: str) -> Reply:
        """Return a reply as it stands. Raises `NotFound`."""
        known = history_of(tail).messages.get(reply_id)
        message = await read_message(self._log.engine, tail, reply_id) if known else None
        if not isinstance(message, Reply):
            raise NotFound("There is no such reply.")
        return message

    async def rename(self, tail: Tail, title: str) -> Conversation:
        """Give a conversation another title."""
        title = check_title(title)
        self._running.check_open()
        async with tail.command:
            conversation = history_of(tail).conversation()
            if title == conversation.title:
                return conversation
            now = _now()
            conversation = msgspec.structs.replace(conversation, title=title, updated_at=now)
            await self._log.append(tail, [ConversationUpdated(conversation)], [Rename(title, now)]).committed()
            return conversation

    async def delete(self, tail: Tail, *, head: str | None = None) -> bool:
        """Stop what runs, and remove a conversation with all that it holds; with `head`, only while that is its head.

        Says whether it did.
        """
        return await self._departures.drop(tail, head=head)

    async def note(self, tail: Tail, reply_id: str, note: Mapping[str, Any]) -> None:
        """Keep something else with a reply for the door that it came through."""
        async with tail.command:
            await self.reply(tail, reply_id)
            await self._log.append(tail, [], [SaveNote(reply_id, note)]).committed()

    async def _accept(
        self,
        tail: Tail,
        question: Question,
        responder: Responder,
        *,
        parent: str | None,
        now: datetime,
        key: Key | None,
        rows: Sequence[Row] = (),
        titled: bool = False,
    ) -> Asked:
        """Commit the new messages and the reply to the last one in one transaction (G1), and start the reply."""
        history = history_of(tail)
        messages, told = tell(question.turns, parent, now)
        prompt = messages[-1] if messages else await self._prompt(tail, parent, question.path)
        reply = new_reply(responder.name, prompt.id, now)
        conversation = msgspec.structs.replace(
            history.conversation(), head=reply.id, running=(*history.running, reply.id), updated_at=now
        )
        asked = Asked(
            conversation=conversation,
            message=prompt,
            reply=reply,
            cursor=tail.epoch,
            events=f"/conversations/{history.id}/events",
        )
        events: list[Event] = [*told, ReplyCreated(reply)]
        if titled:
            events.append(ConversationUpdated(conversation))
        rows = [*rows, *map(AddMessage, messages), AddMessage(reply, question.parameters)]
        if key:
            rows.append(key.keep(msgspec.json.encode(asked)))
        append = self._log.append(tail, events, rows)
        known = Known({message.id: message for message in (prompt, *messages)}, question.parameters)
        await self._running.accept(append, tail, reply.id, known)
        return asked.after(append.first - 1)

    async def _prompt(self, tail: Tail, message_id: str | None, path: str) -> Message:
        """Return a message that is there already, to be answered once more."""
        if message_id is None or history_of(tail).messages[message_id].role == "assistant":
            raise Invalid("There is nothing to answer.", path)
        return await read_message(self._log.engine, tail, message_id)

    # Checks

    def _check(self, question: Question) -> Responder:
        check_turns(question.turns, question.path, self._settings)
        check_parameters(question.parameters, self._settings)
        return choose(self._registry, question.responder, question.parameters)

    def _check_room(self, history: History, question: Question) -> None:
        if len(history.messages) + len(question.turns) + 1 > self._settings.max_messages:
            raise Full(f"The conversation is full: it holds {self._settings.max_messages} messages at most.")


def _now() -> datetime:
    return datetime.now(UTC)
