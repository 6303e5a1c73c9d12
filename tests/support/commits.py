"""What engines are given in tests: records, entries and commits that follow from few facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.engine.base import AddMessage, Commit, CreateConversation, CreateStream, Entry, Row, Settlement
from app.events import BroadcastMessage, Event, MessageCreated, Record, ReplyCreated
from app.ids import conversation_stream
from app.messages import Conversation, Message, Parameters, Reply, text_message
from responders.base import Text

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SALT = b"sixteen bytes of"


def later(seconds: float) -> datetime:
    """Return a time so many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def to_records(first: int, events: Iterable[Event]) -> list[Record]:
    """Return the records of events from number `first` on, a millisecond apart."""
    return [Record.of(seq, 1_767_000_000_000 + seq, event) for seq, event in enumerate(events, first)]


def records(first: int, last: int, text: str = "text") -> list[Record]:
    """Return records with the numbers `first` to `last`, each with a text of its own."""
    return to_records(first, (BroadcastMessage(f"{text} {seq}") for seq in range(first, last + 1)))


def new_stream(name: str, last: int = 0, salt: bytes = SALT, *rows: Row) -> Entry:
    """Return the entry that begins a stream with the records 1 to `last`."""
    return Entry(name, records(1, last), [CreateStream(salt), *rows])


def commit(*entries: Entry, settle: Sequence[Settlement] = ()) -> Commit:
    """Return a commit."""
    return Commit(entries, settle)


def user_message(id: str, parent: str | None = None, text: str = "Hello", at: datetime = NOW) -> Message:
    """Return a whole message of a user."""
    return text_message(id=id, role="user", parent=parent, text=text, created_at=at)


def accepted(id: str, parent: str | None = None, at: datetime = NOW) -> Reply:
    """Return a reply that was just accepted."""
    return Reply(
        id=id,
        role="assistant",
        parent=parent,
        parts=(),
        text="",
        status="accepted",
        created_at=at,
        responder="mock",
    )


def running(reply: Reply, at: datetime = NOW) -> Reply:
    """Return the reply when it has started."""
    return msgspec.structs.replace(reply, status="running", started_at=at)


def completed(reply: Reply, text: str = "Hi!", at: datetime = NOW) -> Reply:
    """Return the reply when it has ended."""
    return msgspec.structs.replace(reply, status="completed", parts=(Text(text),), text=text, ended_at=at)


def conversation(id: str, title: str = "A title", at: datetime = NOW) -> Conversation:
    """Return a conversation without messages."""
    return Conversation(id=id, title=title, head=None, running=(), created_at=at, updated_at=at)


def new_conversation(
    id: str,
    messages: Sequence[Message] = (),
    *,
    principal: str = "local",
    title: str = "A title",
    at: datetime = NOW,
    options: Mapping[str, Any] | None = None,
    transient: bool = False,
    alias: str | None = None,
) -> Entry:
    """Return the entry that begins a conversation with messages; replies among them get `options`."""
    begun = CreateConversation(principal, conversation(id, title, at), transient, alias)
    rows: list[Row] = [CreateStream(SALT), begun]
    return add_messages(id, messages, first=1, before=rows, options=options)


def add_messages(
    id: str,
    messages: Sequence[Message],
    *,
    first: int,
    before: Sequence[Row] = (),
    options: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the entry that adds messages to a conversation, its events numbered from `first` on."""
    events = [ReplyCreated(m) if isinstance(m, Reply) else MessageCreated(m) for m in messages]
    rows = [
        AddMessage(m, Parameters(options=options or {})) if isinstance(m, Reply) else AddMessage(m) for m in messages
    ]
    return Entry(conversation_stream(id), to_records(first, events), [*before, *rows])
