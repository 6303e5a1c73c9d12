"""A store with many conversations in it, made through the log, without a server."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from app.api.requests import PRINCIPAL
from app.engine.base import AddMessage, CreateConversation, SaveReply
from app.engine.sqlite import SQLiteEngine
from app.events import MessageCreated, ReplyCreated, ReplyDelta, ReplyEnded, ReplyStarted
from app.history import Draft, History
from app.ids import conversation_stream, new_id
from app.log import Log
from app.messages import Conversation, Reply, text_message
from responders.base import Usage

AT_ONCE = 500
TOKENS = 20


async def fill(folder: Path, conversations: int) -> list[str]:
    """Store conversations of one prompt and one whole reply each, and return their ids."""
    async with Log(SQLiteEngine(folder)) as log:
        ids: list[str] = []
        for start in range(0, conversations, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, conversations))
            ids += await asyncio.gather(*(_store(log, number) for number in numbers))
        return ids


async def _store(log: Log, number: int) -> str:
    now = datetime.now(UTC)
    conversation = Conversation(
        id=new_id(), title=f"Number {number}", head=None, running=(), created_at=now, updated_at=now
    )
    prompt = text_message(id=new_id(), role="user", parent=None, text=f"Count from {number}", created_at=now)
    reply = Reply(
        id=new_id(),
        role="assistant",
        parent=prompt.id,
        parts=(),
        text="",
        status="accepted",
        created_at=now,
        responder="echo",
    )
    words = [f"{number + offset} " for offset in range(TOKENS)]
    text = "".join(words)
    pieces = [ReplyDelta(reply.id, 0, word, at=None if offset else now) for offset, word in enumerate(words)]
    ended = ReplyEnded(
        reply_id=reply.id,
        status="completed",
        text=text,
        text_sha256=hashlib.sha256(text.encode()).hexdigest(),
        finish_reason="stop",
        usage=Usage(3, TOKENS, TOKENS + 3, estimated=True),
        at=now,
    )
    draft = Draft(reply)
    for event in (ReplyStarted(reply.id, now), *pieces, ended):
        draft.apply(event)
    tail, created = log.tails.create(
        conversation_stream(conversation.id), history=History(conversation), principal=PRINCIPAL
    )
    try:
        await log.append(
            tail,
            [MessageCreated(prompt), ReplyCreated(reply), ReplyStarted(reply.id, now), *pieces, ended],
            [
                created,
                CreateConversation(PRINCIPAL, conversation),
                AddMessage(prompt),
                AddMessage(reply),
                SaveReply(draft.reply()),
            ],
        ).committed()
    finally:
        log.tails.release(tail)
    return conversation.id
