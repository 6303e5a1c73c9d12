"""What a conversation's events add up to. `fold` is the only reader of history: live, after a restart and in tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from io import StringIO

import msgspec

from app.events import (
    BroadcastMessage,
    ConversationDeleted,
    ConversationUpdated,
    Event,
    MessageCreated,
    ReplyCreated,
    ReplyDelta,
    ReplyEnded,
    ReplyPiece,
    ReplyStarted,
    ReplyToolCall,
    ReplyToolResult,
)
from app.messages import LIVE, Conversation, Message, Outline, Reply, Status
from responders.base import Part, Reasoning, Role, Text, ToolCall, ToolResult


class _Growing:
    """A text or reasoning part while pieces arrive."""

    __slots__ = ("_text", "add", "kind")

    def __init__(self, kind: type[Text | Reasoning], text: str) -> None:
        self.kind = kind
        self._text = StringIO()
        self.add = self._text.write
        self.add(text)

    def part(self) -> Part:
        return self.kind(self._text.getvalue())


class Draft:
    """A reply while it is written. Reads like a message; `reply()` gives the whole of it as it stands."""

    __slots__ = ("_parts", "_reply", "grows", "id", "parts")

    def __init__(self, reply: Reply) -> None:
        self.id = reply.id
        self.parts = 0
        """How many parts there are so far."""
        self.grows: type[Text | Reasoning] | None = None
        """The kind of the last part where that is a text: another piece of the same kind continues it."""
        self._reply = reply
        self._parts: list[_Growing | Part] = []
        for part in reply.parts:
            self._begin(_Growing(type(part), part.text) if isinstance(part, Text | Reasoning) else part)

    @property
    def parent(self) -> str | None:
        """The message that the reply answers."""
        return self._reply.parent

    @property
    def role(self) -> Role:
        """Always `assistant`."""
        return self._reply.role

    @property
    def status(self) -> Status:
        """The reply's status."""
        return self._reply.status

    @property
    def live(self) -> bool:
        """Whether the reply has not ended."""
        return self._reply.status in LIVE

    def apply(self, event: ReplyStarted | ReplyPiece | ReplyEnded) -> None:
        """Take in one event of this reply."""
        match event:
            case ReplyDelta():
                self._delta(event)
            case ReplyToolCall():
                self._begin(ToolCall(event.call_id, event.name, event.arguments))
            case ReplyToolResult():
                self._begin(ToolResult(event.call_id, event.result))
            case ReplyStarted():
                self._reply = msgspec.structs.replace(self._reply, status="running", started_at=event.at)
                return
            case ReplyEnded():
                self._reply = msgspec.structs.replace(
                    self._reply,
                    status=event.status,
                    ended_at=event.at,
                    finish_reason=event.finish_reason,
                    usage=event.usage,
                    error=None if event.error is msgspec.UNSET else event.error,
                )
                return
        if event.at is not None:
            self._reply = msgspec.structs.replace(self._reply, first_token_at=event.at)

    def reply(self) -> Reply:
        """Return the reply as its events so far tell it."""
        parts = tuple(part.part() if isinstance(part, _Growing) else part for part in self._parts)
        text = "".join(part.text for part in parts if isinstance(part, Text))
        return msgspec.structs.replace(self._reply, parts=parts, text=text)

    def _delta(self, event: ReplyDelta) -> None:
        if event.part == self.parts:
            self._begin(_Growing(Reasoning if event.kind else Text, event.text))
            return
        growing = self._parts[event.part]
        if not isinstance(growing, _Growing):
            raise ValueError(f"part {event.part} of reply {event.reply_id} takes no text")
        growing.add(event.text)

    def _begin(self, part: _Growing | Part) -> None:
        self._parts.append(part)
        self.parts += 1
        self.grows = part.kind if isinstance(part, _Growing) else None


class History:
    """A conversation as its events tell it: what `GET`, snapshots and every check read.

    `messages` holds them in order of creation. Ended ones may be reduced to their outline (`forget`): their content is
    immutable, and the engine has it.
    """

    __slots__ = ("created_at", "deleted", "head", "id", "messages", "running", "title", "updated_at")

    def __init__(self, conversation: Conversation, messages: Iterable[Message | Outline | Draft] = ()) -> None:
        self.id = conversation.id
        self.title = conversation.title
        self.head = conversation.head
        self.created_at: datetime = conversation.created_at
        self.updated_at: datetime = conversation.updated_at
        self.messages: dict[str, Message | Outline | Draft] = {message.id: message for message in messages}
        self.running = [message.id for message in self.messages.values() if message.live]
        """The ids of the replies that have not ended, oldest first."""
        self.deleted = False

    def conversation(self) -> Conversation:
        """Return the conversation as it stands."""
        return Conversation(
            id=self.id,
            title=self.title,
            head=self.head,
            running=tuple(self.running),
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def branch(self, leaf: str | None) -> list[Message | Outline | Draft]:
        """Return the messages from the root to `leaf`."""
        branch = []
        while leaf is not None:
            message = self.messages[leaf]
            branch.append(message)
            leaf = message.parent
        return branch[::-1]

    def draft(self, reply_id: str) -> Draft:
        """Return a reply that is being written. Raises `ValueError` for one that has ended, and for anything else."""
        draft = self.messages.get(reply_id)
        if not isinstance(draft, Draft):
            raise ValueError(f"reply {reply_id} has ended, or is none")
        return draft

    def forget(self, message_id: str) -> None:
        """Reduce a message that can no longer change to its outline."""
        message = self.messages[message_id]
        self.messages[message_id] = Outline(message.id, message.parent, message.role, message.status)


def fold(history: History, event: Event) -> None:
    """Bring a history forward by one event. No I/O, no clock: the same events give the same history everywhere."""
    match event:
        case ReplyDelta() | ReplyToolCall() | ReplyToolResult() | ReplyStarted():
            history.draft(event.reply_id).apply(event)
        case MessageCreated(message):
            _add(history, message, message.created_at)
        case ReplyCreated(reply):
            _add(history, Draft(reply), reply.created_at)
            history.running.append(reply.id)
        case ReplyEnded():
            draft = history.draft(event.reply_id)
            draft.apply(event)
            history.messages[draft.id] = draft.reply()
            history.running.remove(draft.id)
            history.updated_at = event.at
        case ConversationUpdated(conversation):
            history.title = conversation.title
            history.updated_at = conversation.updated_at
        case ConversationDeleted():
            history.deleted = True
        case BroadcastMessage():
            raise ValueError("a conversation holds no broadcast messages")


def _add(history: History, message: Message | Draft, created_at: datetime) -> None:
    history.messages[message.id] = message
    history.head = message.id
    history.updated_at = created_at
