"""An exported conversation: what one may hold. Whatever is in it was written by somebody unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from app.messages import Failure, Status
from responders.base import FinishReason, Image, Part, Reasoning, Text, ToolCall, ToolResult, Usage

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ExportedText(Text, frozen=True, forbid_unknown_fields=True):
    """A text part."""


class ExportedReasoning(Reasoning, frozen=True, forbid_unknown_fields=True):
    """A reasoning part."""


class ExportedToolCall(ToolCall, frozen=True, forbid_unknown_fields=True):
    """A tool call."""


class ExportedToolResult(ToolResult, frozen=True, forbid_unknown_fields=True):
    """What a tool call gave."""


class ExportedImage(Image, frozen=True, forbid_unknown_fields=True):
    """An image of a prompt."""


class ExportedUsage(Usage, frozen=True, forbid_unknown_fields=True):
    """What a reply used."""


class ExportedFailure(Failure, frozen=True, forbid_unknown_fields=True):
    """Why a reply failed."""

    code: Name
    message: Annotated[str, msgspec.Meta(max_length=1000)]


class ExportedMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="role"):
    """What all messages have; `parent` is the id of an earlier one."""

    id: Name
    parent: str | None
    parts: tuple[Part, ...]
    text: str
    created_at: Time


class ExportedSystem(ExportedMessage, frozen=True, kw_only=True, tag="system"):
    """A system message, whole."""

    parts: Annotated[tuple[ExportedText, ...], msgspec.Meta(min_length=1)]
    status: Literal["completed"]


class ExportedPrompt(ExportedMessage, frozen=True, kw_only=True, tag="user"):
    """A user's message, whole."""

    parts: Annotated[tuple[ExportedText | ExportedImage, ...], msgspec.Meta(min_length=1)]
    status: Literal["completed"]


class ExportedResult(ExportedMessage, frozen=True, kw_only=True, tag="tool"):
    """A tool's message, whole."""

    parts: Annotated[tuple[ExportedText | ExportedToolResult, ...], msgspec.Meta(min_length=1)]
    status: Literal["completed"]


class ExportedReply(ExportedMessage, frozen=True, kw_only=True, tag="assistant"):
    """A reply, whole; one that had not ended is taken as interrupted."""

    parts: tuple[ExportedText | ExportedReasoning | ExportedToolCall | ExportedToolResult, ...]
    status: Status
    responder: Name
    started_at: Time | None
    first_token_at: Time | None
    ended_at: Time | None
    finish_reason: FinishReason | None
    usage: ExportedUsage | None
    error: ExportedFailure | None


AnyExported = ExportedSystem | ExportedPrompt | ExportedResult | ExportedReply


class ExportedConversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation; only its title and the time of its creation are taken over."""

    title: str
    created_at: Time | None = None
    id: str | None = None
    head: str | None = None
    running: tuple[str, ...] = ()
    updated_at: Time | None = None


class Export(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation with all its messages in order of creation; `cursor`, which a snapshot has, means nothing here."""

    conversation: ExportedConversation
    messages: Annotated[tuple[AnyExported, ...], msgspec.Meta(min_length=1)]
    cursor: str | None = None
