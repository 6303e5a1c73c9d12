"""The objects of answers and frames as the OpenAPI document describes them.

Those that are written from a struct are described from it. Here are the others: what is written from a dict, and
what has a union in it that msgspec cannot tell apart when it reads, so that it describes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from app.events import BroadcastMessage, Event
from app.messages import Conversation, Message, Outline, Reply
from app.resume import Reason

REF = "#/components/schemas/{name}"
"""Where the document has an object."""


def one_of(*types: type) -> dict[str, Any]:
    """Return the schema of what is one of these objects."""
    return {"anyOf": [{"$ref": REF.format(name=type.__name__)} for type in types]}


AnyMessage = Annotated[dict[str, Any], Meta(extra_json_schema=one_of(Reply, Message))]
AnyOutline = Annotated[dict[str, Any], Meta(extra_json_schema=one_of(Reply, Message, Outline))]


class MessagePage(Struct):
    """A page of messages; `next` is the `before` of the page that precedes it."""

    messages: Sequence[AnyMessage]
    next: str | None


class Snapshot(Struct):
    """A conversation at one position: messages whole or as outlines, in order of creation."""

    conversation: Conversation
    messages: Sequence[AnyOutline]
    cursor: str


class Hello(Struct, tag="hello", tag_field="type"):
    """The first frame of a stream: where sending starts, and what became of the cursor that was given."""

    stream: str
    epoch: str | None
    cursor: str | None
    resumed: bool
    reason: Reason | None
    conversation_id: str | UnsetType = UNSET
    reply_id: str | UnsetType = UNSET


class Ping(Struct, tag="ping", tag_field="type"):
    """Every 15 seconds: the newest id of the stream."""

    cursor: str | None
    stream: str | UnsetType = UNSET


class Bye(Struct, tag="bye", tag_field="type"):
    """Before a clean end; `retry_after` is in seconds."""

    reason: Literal["deleted", "drain", "overloaded"]
    retry_after: float | UnsetType = UNSET
    stream: str | UnsetType = UNSET


class SnapshotFrame(Snapshot, tag="snapshot", tag_field="type"):
    """A conversation as it stands, in place of the events that lead there."""

    stream: str | UnsetType = UNSET


class ListSnapshot(Struct, tag="snapshot", tag_field="type"):
    """The first page of the list."""

    conversations: Sequence[Conversation]
    stream: str | UnsetType = UNSET


class ConversationChanged(Struct, tag="conversation.changed", tag_field="type"):
    """A conversation of the list is new, or is not what it was."""

    conversation: Conversation
    stream: str | UnsetType = UNSET


class ConversationGone(Struct, tag="conversation.deleted", tag_field="type"):
    """A conversation of the list was deleted."""

    id: str
    stream: str | UnsetType = UNSET


EVENTS = [event for event in get_args(Event) if event is not BroadcastMessage]
FRAMES = [Hello, SnapshotFrame, *EVENTS, Ping, Bye]
LIST_FRAMES = [Hello, ListSnapshot, ConversationChanged, ConversationGone, Ping, Bye]
LoggedEvent = Annotated[
    dict[str, Any], Meta(extra_json_schema=one_of(*EVENTS) | {"properties": {"id": {"type": "string"}}})
]


class LogPage(Struct, omit_defaults=True):
    """What follows a cursor, as its stream would send it; each event has its `id`. `cursor` is the next call's."""

    hello: Hello
    events: Sequence[LoggedEvent]
    cursor: str
    snapshot: Snapshot | None = None


class OneConversation(Struct):
    """A conversation."""

    conversation: Conversation


class OneReply(Struct):
    """A reply."""

    reply: Reply


class ResponderInfo(Struct):
    """A responder that can be asked."""

    name: str
    description: str
    options: Annotated[dict[str, Any], Meta(description="JSON Schema")]


class Limits(Struct):
    """The limits that a client can run into; sizes in bytes, times in seconds."""

    max_prompt_bytes: int
    max_reply_bytes: int
    max_messages: int
    max_running: int
    max_waiting: int
    max_streams: int
    max_broadcast_bytes: int
    max_query_characters: int
    max_searches: int
    max_import_bytes: int
    max_import_parts: int
    max_imports: int
    max_wait_seconds: float
    reply_idle_seconds: float


class Health(Struct):
    """Whether all is well."""

    status: Literal["live", "ready"]


class Problem(Struct):
    """Why a request was refused (RFC 9457). Nothing has changed."""

    type: str
    title: str
    status: int
    detail: str
    path: Annotated[str, Meta(description="the field or parameter that is wrong")] | UnsetType = UNSET
    running: Annotated[tuple[str, ...], Meta(description="the replies that run")] | UnsetType = UNSET
