"""A conversation at the level of the log: what the commands and the runner append, without either of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from app.engine.base import AddMessage, CreateConversation, DropConversation, Rename, Row, SaveReply
from app.errors import NotStoring
from app.events import (
    ConversationDeleted,
    ConversationUpdated,
    Event,
    MessageCreated,
    ReplyCreated,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
)
from app.history import Draft, History
from app.ids import conversation_stream
from app.log import Append, Log
from app.messages import Parameters, Reply
from app.tail import Tail
from responders.base import Usage
from tests.support.commits import NOW, accepted, conversation, running, user_message


class Talk:
    """One conversation, whose tail it holds; `drafts` are its live replies as appended, ahead of the log."""

    def __init__(self, log: Log, id: str, tail: Tail) -> None:
        self.log = log
        self.id = id
        self.tail = tail
        self.drafts: dict[str, Draft] = {}
        self.forget_uncommitted()

    @classmethod
    async def begin(cls, log: Log, id: str) -> Talk:
        """Create a conversation with a prompt and its accepted reply. Raises `NotStoring`."""
        new = conversation(id)
        tail, created = log.tails.create(conversation_stream(id), history=History(new), principal="local")
        talk = cls(log, id, tail)
        try:
            await talk.ask(created, CreateConversation("local", new)).committed()
        except NotStoring:
            talk.leave()
            raise
        return talk

    @classmethod
    async def resume(cls, log: Log, id: str) -> Talk:
        """Take up a conversation that is stored. Raises `NotFound`."""
        return cls(log, id, await log.tails.hold(conversation_stream(id)))

    def leave(self) -> None:
        """Let go of the tail."""
        self.log.tails.release(self.tail)

    def ask(self, *before: Row) -> Append:
        """Append a prompt and its accepted reply."""
        history = self.tail.history
        number = len(history.messages) + len(self.drafts)
        message = user_message(f"{self.id}-m{number}", history.head)
        reply = accepted(f"{self.id}-r{number}", message.id)
        self.drafts[reply.id] = Draft(reply)
        rows = [*before, AddMessage(message), AddMessage(reply, Parameters(options={"number": number}))]
        return self._append([MessageCreated(message), ReplyCreated(reply)], rows)

    def start(self, reply_id: str) -> Append:
        """Append that a reply runs."""
        draft = self.drafts[reply_id]
        row = SaveReply(running(draft.reply()))
        event = ReplyStarted(reply_id, NOW)
        draft.apply(event)
        return self._append([event], [row])

    def say(self, reply_id: str, *texts: str) -> Append:
        """Append pieces of a reply's text."""
        draft = self.drafts[reply_id]
        events = []
        for text in texts:
            events.append(ReplyDelta(reply_id, 0, text, None, None if draft.parts else NOW))
            draft.apply(events[-1])
        return self._append(events)

    def end(self, reply_id: str, status: Literal["completed", "cancelled"] = "completed") -> Append:
        """Append a reply's ending."""
        draft = self.drafts.pop(reply_id)
        text = draft.reply().text
        digest = hashlib.sha256(text.encode()).hexdigest()
        event = ReplyEnded(reply_id, status, text, digest, None, Usage(1, 2, 3), NOW)
        draft.apply(event)
        return self._append([event], [SaveReply(draft.reply())])

    def rename(self, title: str) -> Append:
        """Append another title."""
        changed = msgspec.structs.replace(self.tail.history.conversation(), title=title, updated_at=NOW)
        return self._append([ConversationUpdated(changed)], [Rename(title, NOW)])

    def delete(self) -> Append:
        """Append the conversation's end; nothing may run."""
        return self._append([ConversationDeleted()], [DropConversation()])

    def forget_uncommitted(self) -> None:
        """Go back to what the log holds, as after a commit that failed."""
        history = self.tail.history
        drafts = ((id, history.messages[id]) for id in history.running)
        self.drafts = {id: Draft(draft.reply()) for id, draft in drafts if isinstance(draft, Draft)}

    def standing(self, reply_id: str) -> Reply:
        """Return a live reply as the log holds it."""
        draft = self.tail.history.messages[reply_id]
        assert isinstance(draft, Draft)
        return draft.reply()

    def _append(self, events: Sequence[Event], rows: Sequence[Row] = ()) -> Append:
        return self.log.append(self.tail, events, rows)
