"""Events: immutable, typed facts, each at one position of one stream.

The JSON form is stored as it is sent, and so are these names: a change here is a change of the stored log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from app.messages import Conversation, Ending, Failure, Message, Reply
from responders.base import FinishReason, Usage


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """The root of all events; `type` is the first key of their JSON."""


class MessageCreated(_Event, frozen=True, tag="message.created"):
    """A message that is no reply was added."""

    message: Message


class ReplyCreated(_Event, frozen=True, tag="reply.created"):
    """A reply was accepted, in one commit with its prompt (a retry has none)."""

    reply: Reply


class ReplyStarted(_Event, frozen=True, tag="reply.started"):
    """The responder is about to be entered: from here on it may have cost something."""

    reply_id: str
    at: datetime


class ReplyDelta(_Event, frozen=True, omit_defaults=True, tag="reply.delta"):
    """A piece of text. `part` is the index among the reply's parts; `at` is on the reply's first piece only."""

    reply_id: str
    part: int
    text: str
    kind: Literal["reasoning"] | None = None
    at: datetime | None = None


class ReplyToolCall(_Event, frozen=True, omit_defaults=True, tag="reply.tool_call"):
    """A whole call of a tool; `arguments` is JSON text. `at` as in `reply.delta`."""

    reply_id: str
    part: int
    call_id: str
    name: str
    arguments: str
    at: datetime | None = None


class ReplyToolResult(_Event, frozen=True, omit_defaults=True, tag="reply.tool_result"):
    """What a tool call gave. `at` as in `reply.delta`."""

    reply_id: str
    part: int
    call_id: str
    result: str
    at: datetime | None = None


class ReplyEnded(_Event, frozen=True, tag="reply.ended"):
    """The reply is over, for good: its whole text, and the SHA-256 of that text in UTF-8, as hex."""

    reply_id: str
    status: Ending
    text: str
    text_sha256: str
    finish_reason: FinishReason | None
    usage: Usage
    at: datetime
    error: Failure | msgspec.UnsetType = msgspec.UNSET


class ConversationUpdated(_Event, frozen=True, tag="conversation.updated"):
    """The title changed."""

    conversation: Conversation


class ConversationDeleted(_Event, frozen=True, tag="conversation.deleted"):
    """The conversation is gone; nothing follows."""


class BroadcastMessage(_Event, frozen=True, tag="message"):
    """A text that somebody said to everybody on the broadcast channel."""

    text: str


ReplyPiece = ReplyDelta | ReplyToolCall | ReplyToolResult
Event = (
    MessageCreated
    | ReplyCreated
    | ReplyStarted
    | ReplyPiece
    | ReplyEnded
    | ConversationUpdated
    | ConversationDeleted
    | BroadcastMessage
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class Record(msgspec.Struct, eq=False, gc=False):
    """An event at its position: `seq` in its stream, `at` in milliseconds since 1970, `data` its JSON.

    `frame` is the native SSE frame, made by `app.codecs.sse` at its first use and then shared by all subscribers.
    """

    seq: int
    at: int
    type: str
    data: bytes
    frame: bytes | None = None

    @classmethod
    def of(cls, seq: int, at: int, event: Event) -> Record:
        """Return the record of an event that is about to be committed."""
        return cls(seq, at, event.__struct_config__.tag, _encode(event))  # type: ignore[arg-type]

    def event(self) -> Event:
        """Return the event, decoded anew."""
        event: Event = _decode(self.data)
        return event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def __repr__(self) -> str:
        return f"Record({self.seq}, {self.at}, {self.type!r}, {self.data!r})"

    def _facts(self) -> tuple[int, int, str, bytes]:
        return self.seq, self.at, self.type, self.data
