"""The objects of the API: conversations, messages, replies. Times are UTC; `msgspec` writes them as RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from responders.base import FinishReason, Part, Role, Text, Tool, Usage

Status = Literal["accepted", "running", "completed", "failed", "cancelled", "interrupted"]
Ending = Literal["completed", "failed", "cancelled", "interrupted"]

LIVE: frozenset[str] = frozenset({"accepted", "running"})
"""The statuses of a reply that has not ended."""


class Failure(msgspec.Struct, frozen=True):
    """Why a reply failed, for a program (`code`) and for a person (`message`)."""

    code: str
    message: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation; `parent` is the message it follows, None at the root."""

    id: str
    role: Role
    parent: str | None
    parts: tuple[Part, ...]
    text: str
    """The text parts, joined."""
    status: Status
    created_at: datetime

    @property
    def live(self) -> bool:
        """Whether it is a reply that has not ended."""
        return self.status in LIVE


class Reply(Message, frozen=True, kw_only=True):
    """An assistant message: what a responder answered, and how that ended."""

    responder: str
    started_at: datetime | None = None
    first_token_at: datetime | None = None
    ended_at: datetime | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    error: Failure | None = None


class Parameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a reply was asked for with, beside its prompt; kept with it, since it may start after a restart."""

    options: Mapping[str, Any] = {}
    """The responder's own."""
    instructions: str | None = None
    """System text for this reply alone."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    max_tokens: int | None = None
    note: Mapping[str, Any] = {}
    """What a door keeps for its own answers; nothing else reads it."""


class Outline(msgspec.Struct, frozen=True):
    """A message without its content: what a snapshot says of one that it does not hold in full."""

    id: str
    parent: str | None
    role: Role
    status: Status

    @property
    def live(self) -> bool:
        """Whether it is a reply that has not ended."""
        return self.status in LIVE


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A tree of messages with a title; `head` is its newest leaf, `running` the replies that have not ended."""

    id: str
    title: str
    head: str | None
    running: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def text_message(*, id: str, role: Role, parent: str | None, text: str, created_at: datetime) -> Message:
    """Return a whole message of one text part."""
    return Message(
        id=id, role=role, parent=parent, parts=(Text(text),), text=text, status="completed", created_at=created_at
    )
