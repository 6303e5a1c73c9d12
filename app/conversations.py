"""What can be done to conversations: ask, retry, stop, rename, delete. Every door calls these; nothing else writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from app.engine.base import AddMessage, CreateConversation, DropConversation, Rename, Row
from app.errors import Invalid, NotFound, StillRunning, TooLarge
from app.events import ConversationDeleted, ConversationUpdated, Event, MessageCreated, ReplyCreated
from app.history import History
from app.idempotency import Answers, Key
from app.ids import conversation_stream, new_id
from app.log import Log
from app.messages import Conversation, Message, Reply, text_message
from app.questions import Asked, Question
from app.running import Running
from app.settings import Settings
from app.snapshots import Known, history_of, read_message
from app.tail import Tail
from app.titles import check_title, first_words
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError, OptionError, Responder

IfRunning = Literal["queue", "interrupt"]


class Conversations:
    """The commands. Each checks everything first, and then writes one commit: all of it has happened, or nothing."""

    def __init__(self, log: Log, running: Running, answers: Answers, registry: Registry, settings: Settings) -> None:
        self._log = log
        self._running = running
        self._answers = answers
        self._registry = registry
        self._settings = settings

    async def recover(self) -> None:
        """Take up what an earlier process left: what ran ends as interrupted, what was only accepted starts."""
        for conversation_id in await self._log.engine.unfinished():
            async with self._log.tails.open(conversation_stream(conversation_id)) as tail:
                self._running.recover(tail)

    @asynccontextmanager
    async def open(self, principal: str, conversation_id: str) -> AsyncIterator[Tail]:
        """Hold a conversation of a principal. Raises `NotFound`, the same for an unknown one and a foreign one."""
        async with self._log.tails.open(conversation_stream(conversation_id)) as tail:
            history_of(tail)
            if tail.principal != principal:
                raise NotFound("There is no such conversation.")
            yield tail

    async def create(
        self,
        principal: str,
        question: Question,
        *,
        system: str | None = None,
        title: str | None = None,
        key: Key | None = None,
    ) -> tuple[Asked, bool]:
        """Begin a conversation; says too whether the answer was kept from an earlier request."""
        # Ahead of every lock, here and below: it may take long, and neither a stop nor another prompt may wait for it.
        await self._registry.refresh(question.responder, until=self._running.draining)
        async with self._answers.once(key) as kept:
            if kept:
                return Asked.again(kept), True
            responder = self._check(question)
            self._check_text(system, "system")
            now = _now()
            prompt_title = check_title(title) if title is not None else first_words(question.prompt)
            conversation = Conversation(
                id=new_id(), title=prompt_title, head=None, running=(), created_at=now, updated_at=now
            )
            tail, created = self._log.tails.create(
                conversation_stream(conversation.id), history=History(conversation), principal=principal
            )
            try:
                with self._running.place(tail):
                    rows: list[Row] = [created, CreateConversation(principal, conversation)]
                    messages = [_message("system", None, system, now)] if system is not None else []
                    messages.append(_message("user", messages[0].id if messages else None, question.prompt, now))
                    reply = _reply(responder, messages[-1].id, now)
                    async with tail.command:
                        return await self._accept(
                            tail, messages, reply, question.options, rows, key=key, titled=title is not None
                        ), False
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
            self._check_room(history, 2)
            live = follows is not None and history.messages[follows].live
            if live and if_running is None:
                raise StillRunning("The reply that this prompt follows has not ended.", tuple(history.running))
            interrupts = live and if_running == "interrupt"
            with self._running.place(tail, waits=live and not interrupts, replaces=interrupts):
                if follows and interrupts:
                    await self._running.stop(follows)
                now = _now()
                message = _message("user", follows, question.prompt, now)
                reply = _reply(responder, message.id, now)
                return await self._accept(tail, [message], reply, question.options, [], key=key), False

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
        await self._registry.refresh(responder or old.reply.responder, until=self._running.draining)
        async with self._answers.once(key) as kept, tail.command:
            if kept:
                return Asked.again(kept), True
            history = history_of(tail)
            if history.messages[reply_id].live:
                raise StillRunning("This reply has not ended.", tuple(history.running))
            prompt = await read_message(self._log.engine, tail, old.reply.parent)
            if responder is None:
                responder = old.reply.responder
            if options is None:
                options = old.options if responder == old.reply.responder else {}
            question = Question(prompt=prompt.text, responder=responder, options=options)
            chosen = self._responder(question)
            self._check_room(history, 1)
            before = history.messages[prompt.parent] if prompt.parent else None
            with self._running.place(tail, waits=before is not None and before.live):
                reply = _reply(chosen, prompt.id, _now())
                return await self._accept(tail, [], reply, options, [], key=key, prompt=prompt), False

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

    async def delete(self, tail: Tail) -> None:
        """Stop what runs, and remove a conversation with all that it holds."""
        async with tail.command:
            history = history_of(tail)
            await asyncio.gather(*(self._running.stop(reply_id) for reply_id in history.running))
            await self._log.append(tail, [ConversationDeleted()], [DropConversation()]).committed()

    async def _accept(
        self,
        tail: Tail,
        messages: Sequence[Message],
        reply: Reply,
        options: Mapping[str, Any],
        rows: Sequence[Row],
        *,
        key: Key | None,
        prompt: Message | None = None,
        titled: bool = False,
    ) -> Asked:
        """Commit messages and the reply to the last of them in one transaction (G1), and start the reply."""
        history = history_of(tail)
        conversation = msgspec.structs.replace(
            history.conversation(),
            head=reply.id,
            running=(*history.running, reply.id),
            updated_at=reply.created_at,
        )
        asked = Asked(
            conversation=conversation,
            message=prompt or messages[-1],
            reply=reply,
            cursor=tail.epoch,
            events=f"/conversations/{history.id}/events",
        )
        events: list[Event] = [*map(MessageCreated, messages), ReplyCreated(reply)]
        if titled:
            events.append(ConversationUpdated(conversation))
        rows = [*rows, *map(AddMessage, messages), AddMessage(reply, options)]
        if key:
            rows.append(key.keep(msgspec.json.encode(asked)))
        append = self._log.append(tail, events, rows)
        known = Known({message.id: message for message in (asked.message, *messages)}, options)
        await self._running.accept(append, tail, reply.id, known)
        return asked.after(append.first - 1)

    # Checks

    def _check(self, question: Question) -> Responder:
        if not question.prompt.strip():
            raise Invalid("A prompt must hold a character that is not white space.", "prompt")
        self._check_text(question.prompt, "prompt")
        return self._responder(question)

    def _check_text(self, text: str | None, name: str) -> None:
        limit = self._settings.max_prompt_bytes
        if text is not None and len(text.encode()) > limit:
            raise TooLarge(f"The {name} is longer than {limit} bytes.")

    def _check_room(self, history: History, messages: int) -> None:
        if len(history.messages) + messages > self._settings.max_messages:
            raise TooLarge(f"The conversation is full: it holds {self._settings.max_messages} messages at most.")

    def _responder(self, question: Question) -> Responder:
        try:
            name = self._registry.default if question.responder is None else question.responder
            responder = self._registry.get(name)
            responder.parse_options(question.options)
        except (UnknownResponder, LoadError) as error:
            raise Invalid(str(error), "responder") from error
        except OptionError as error:
            raise Invalid(
                f"{error.message}.".replace("..", "."), f"options.{error.path}" if error.path else "options"
            ) from error
        return responder


def _message(role: Literal["system", "user"], parent: str | None, text: str, now: datetime) -> Message:
    return text_message(id=new_id(), role=role, parent=parent, text=text, created_at=now)


def _reply(responder: Responder, parent: str, now: datetime) -> Reply:
    return Reply(
        id=new_id(),
        role="assistant",
        parent=parent,
        parts=(),
        text="",
        status="accepted",
        created_at=now,
        responder=responder.name,
    )


def _now() -> datetime:
    return datetime.now(UTC)
