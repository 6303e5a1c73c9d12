"""What a prompt asks for, and the answer that it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app.engine.base import StoredAnswer
from app.ids import Cursor
from app.messages import Conversation, Message, Reply


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt asks for: its text, and who is to answer with which options."""

    prompt: str
    responder: str | None = None
    options: Mapping[str, Any] = {}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a prompt: `cursor` precedes the events of the new message on the stream at `events`.

    Numbers are given in the commit, so what is kept for a repeated request has only the epoch for a cursor.
    """

    conversation: Conversation
    message: Message
    reply: Reply
    cursor: str
    events: str

    @classmethod
    def again(cls, kept: StoredAnswer) -> Asked:
        """Return the answer that an earlier request was given."""
        return msgspec.json.decode(kept.answer, type=cls).after(kept.after)

    def after(self, seq: int) -> Asked:
        """Return the answer with its whole cursor."""
        return msgspec.structs.replace(self, cursor=str(Cursor(self.cursor, seq)))
