"""An exported conversation retold: the messages of a new one, and the events that tell them. Pure but for the new ids.

What is taken is what this server could have written itself, so nothing that reads a conversation has to expect more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from app.errors import Invalid, TooLarge
from app.events import (
    ConversationUpdated,
    Event,
    MessageCreated,
    ReplyCreated,
    ReplyEnded,
    ReplyPiece,
    ReplyStarted,
)
from app.exports import AnyExported, Export, ExportedReply
from app.history import Draft
from app.ids import new_id
from app.messages import LIVE, Conversation, Message, Reply
from app.settings import Settings
from app.titles import check_title
from app.writer import INTERRUPTED, PART_BYTES, Writer, part_size, tell_part
from responders.base import Text


class Retold(msgspec.Struct, frozen=True):
    """A new conversation that says what an exported one said: its events, and the messages that these fold into."""

    conversation: Conversation
    events: Sequence[Event]
    messages: Sequence[Message]


def retell(export: Export, settings: Settings, now: datetime) -> Retold:
    """Return an exported conversation anew, changed for the last time `now`.

    Raises `Invalid`, with the path of what is wrong, and `TooLarge`.
    """
    title = check_title(export.conversation.title, "conversation.title")
    created_at = export.conversation.created_at or now
    _check_utc(created_at, "conversation.created_at")
    known: dict[str, Message] = {}
    events: list[Event] = []
    for place, exported in enumerate(export.messages):
        at = f"messages[{place}]"
        _check(exported, at, settings)
        if exported.id in known:
            raise Invalid("An earlier message has this id.", f"{at}.id")
        parent = _parent(exported, known, at)
        if isinstance(exported, ExportedReply):
            reply, told = _retell_reply(exported, parent, now)
            known[exported.id] = reply
            events += told
        else:
            known[exported.id] = message = _retell_message(exported, parent)
            events.append(MessageCreated(message))
    messages = list(known.values())
    conversation = Conversation(
        id=new_id(), title=title, head=messages[-1].id, running=(), created_at=created_at, updated_at=now
    )
    # Last of all: from here on the conversation is as new as its import, whatever the times of its messages.
    return Retold(conversation, [*events, ConversationUpdated(conversation)], messages)


def _retell_message(exported: AnyExported, parent: str | None) -> Message:
    return Message(
        id=new_id(),
        role=exported.__struct_config__.tag,  # type: ignore[arg-type]
        parent=parent,
        parts=exported.parts,
        text=exported.text,
        status="completed",
        created_at=exported.created_at,
    )


def _retell_reply(exported: ExportedReply, parent: str | None, now: datetime) -> tuple[Reply, list[Event]]:
    """Return a reply as its events make it, so that what is stored is what they fold into, and these events."""
    begun = Reply(
        id=new_id(),
        role="assistant",
        parent=parent,
        parts=(),
        text="",
        status="accepted",
        created_at=exported.created_at,
        responder=exported.responder,
    )
    draft = Draft(begun)
    events: list[Event] = [ReplyCreated(begun)]
    for event in _told(exported, begun.id):
        draft.apply(event)
        events.append(event)
    if exported.status in LIVE:
        ending = Writer(draft.reply(), 0).end(INTERRUPTED, 0)
        ending = msgspec.structs.replace(ending, at=now)
        draft.apply(ending)
        events.append(ending)
    return draft.reply(), events


def _told(reply: ExportedReply, id: str) -> Iterator[ReplyStarted | ReplyPiece | ReplyEnded]:
    if reply.started_at:
        yield ReplyStarted(id, reply.started_at)
    for place, part in enumerate(reply.parts):
        yield tell_part(part, id, place, None if place else reply.first_token_at)
    if reply.status not in LIVE and reply.ended_at and reply.usage:
        yield ReplyEnded(
            reply_id=id,
            status=reply.status,  # type: ignore[arg-type]
            text=reply.text,
            text_sha256=hashlib.sha256(reply.text.encode()).hexdigest(),
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            at=reply.ended_at,
            error=reply.error or msgspec.UNSET,
        )


# Checks


def _check(message: AnyExported, at: str, settings: Settings) -> None:
    reply = isinstance(message, ExportedReply)
    limit = settings.max_reply_bytes if reply else settings.max_prompt_bytes
    if sum(map(part_size, message.parts)) + PART_BYTES * (len(message.parts) - 1) > limit:
        raise TooLarge(f"{at} is longer than {limit} bytes.")
    if message.text != "".join(part.text for part in message.parts if isinstance(part, Text)):
        raise Invalid("It is not what the text parts say together.", f"{at}.text")
    for name in ("created_at", "started_at", "first_token_at", "ended_at"):
        _check_utc(getattr(message, name, None), f"{at}.{name}")
    if isinstance(message, ExportedReply):
        _check_state(message, at)


def _check_state(reply: ExportedReply, at: str) -> None:
    """Refuse what does not go with a reply's status: no events could tell it."""
    status, ended = reply.status, reply.status not in LIVE
    if status == "accepted" and reply.parts:
        raise Invalid("A reply that is accepted has said nothing yet.", f"{at}.parts")
    # Only one that was cancelled may have ended without a start, and then it has said nothing.
    started = bool(reply.started_at or reply.parts) if status == "cancelled" else status != "accepted"
    expected = {
        "started_at": started,
        "first_token_at": bool(reply.parts),
        "ended_at": ended,
        "finish_reason": status == "completed",
        "usage": ended,
        "error": status == "failed",
    }
    for name, there in expected.items():
        if (getattr(reply, name) is not None) != there:
            raise Invalid(f"It has to be {'there' if there else 'null'} in a reply like this.", f"{at}.{name}")
    if reply.usage and reply.usage.partial == (status == "completed"):
        raise Invalid("It is true exactly where a reply has not completed.", f"{at}.usage.partial")


def _parent(message: AnyExported, known: dict[str, Message], at: str) -> str | None:
    parent = None if message.parent is None else known.get(message.parent)
    if message.parent is not None and parent is None:
        raise Invalid("There is no such message before this one.", f"{at}.parent")
    if isinstance(message, ExportedReply) and (parent is None or parent.role == "assistant"):
        raise Invalid("A reply follows a message that is no reply.", f"{at}.parent")
    return parent.id if parent else None


def _check_utc(time: datetime | None, path: str) -> None:
    if time and time.utcoffset():
        raise Invalid("A time is in UTC, as `2026-01-02T03:04:05Z`.", path)
