"""Fills a data folder through the log, without a server: `python -m benchmarks.prepare FOLDER CONVERSATIONS TURNS`.

Prints the ids of the conversations as JSON; a turn is a prompt and a whole reply.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.api.requests import PRINCIPAL
from app.engine.base import AddMessage, CreateConversation, Row, SaveReply
from app.engine.sqlite import SQLiteEngine
from app.events import Event, MessageCreated, ReplyCreated, ReplyDelta, ReplyEnded, ReplyStarted
from app.history import Draft, History
from app.ids import conversation_stream, new_id
from app.log import Log
from app.messages import Conversation, Reply, text_message
from benchmarks.model import WORDS
from responders.base import Usage

AT_ONCE = 500
"""How many conversations share their commits, and how many turns of one conversation do."""
TOKENS = 20


async def fill(folder: Path, conversations: int, turns: int) -> list[str]:
    """Store conversations of so many turns each, and return their ids."""
    async with Log(SQLiteEngine(folder)) as log:
        ids: list[str] = []
        for start in range(0, conversations, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, conversations))
            ids += await asyncio.gather(*(_store(log, turns) for _ in numbers))
        return ids


async def _store(log: Log, turns: int) -> str:
    now = datetime.now(UTC)
    conversation = Conversation(id=new_id(), title="The gulls", head=None, running=(), created_at=now, updated_at=now)
    tail, created = log.tails.create(
        conversation_stream(conversation.id), history=History(conversation), principal=PRINCIPAL
    )
    first: list[Row] = [created, CreateConversation(PRINCIPAL, conversation)]
    try:
        for number, (events, rows) in enumerate(_turns(turns), start=1):
            written = log.append(tail, events, [*first, *rows])
            first = []
            if number % AT_ONCE == 0 or number == turns:
                await written.committed()
    finally:
        log.tails.release(tail)
    return conversation.id


def _turns(number: int) -> Iterator[tuple[list[Event], list[Row]]]:
    parent = None
    pieces = [WORDS[index % len(WORDS)] for index in range(TOKENS)]
    text = "".join(pieces)
    digest = hashlib.sha256(text.encode()).hexdigest()
    for _ in range(number):
        now = datetime.now(UTC)
        prompt = text_message(id=new_id(), role="user", parent=parent, text="And the gulls?", created_at=now)
        reply = Reply(
            id=new_id(),
            role="assistant",
            parent=prompt.id,
            parts=(),
            text="",
            status="accepted",
            created_at=now,
            responder="words",
        )
        deltas = [ReplyDelta(reply.id, 0, piece, at=None if index else now) for index, piece in enumerate(pieces)]
        ended = ReplyEnded(
            reply_id=reply.id,
            status="completed",
            text=text,
            text_sha256=digest,
            finish_reason="stop",
            usage=Usage(3, TOKENS, TOKENS + 3, estimated=True),
            at=now,
        )
        life: list[Event] = [ReplyStarted(reply.id, now), *deltas, ended]
        draft = Draft(reply)
        for event in life:
            draft.apply(event)
        rows: list[Row] = [AddMessage(prompt), AddMessage(reply), SaveReply(draft.reply())]
        yield [MessageCreated(prompt), ReplyCreated(reply), *life], rows
        parent = reply.id


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
