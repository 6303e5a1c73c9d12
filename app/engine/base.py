"""The contract of an engine: where the log and the conversations are stored.

An engine holds three things, and keeps them equal at every commit: the *journal* (the newest events of all streams,
in commit order), the *blocks* (settled events, by stream), and the *rows* that queries read (conversations,
messages, idempotent answers).

Guarantees that the log builds on, asserted by `tests/engine/conformance.py` over every engine:

- **One owner.** `claim` succeeds for one process at a time; for another one it raises `StartError`, and nothing has
  changed.
- **All or nothing, and then for good.** When `commit` returns, all of it survives kill -9 and power loss. When it
  raises `NotStoring`, none of it is visible to any later call, and the same engine takes later commits once storage
  works.
- **One at a time.** The log never calls `commit` while another call of it runs. Reads may run at any time, and see
  whole commits only.
- **Settling loses nothing.** Records leave the journal only once their block is stored in the same transaction.
- **Changes have numbers.** Whatever a commit adds to a conversation, or takes from it, has a number there, higher than
  all before it; so who follows the store remembers one number, and reads what is after it.
- **Reads name what is missing.** An unknown stream, conversation or key is None, never an empty thing.
- A store that cannot be read raises `NotStoring`, never a driver's own error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from app.events import Record
from app.messages import Conversation, Message, Outline, Parameters, Reply

ANSWERS_KEPT = timedelta(hours=24)
"""How long an idempotency record is kept; older ones may go with any commit."""


class CreateStream(msgspec.Struct, frozen=True):
    """The entry's stream begins with this entry; `salt` is what its epochs are made from."""

    salt: bytes


class CreateConversation(msgspec.Struct, frozen=True):
    """The entry's stream is a new conversation of `principal`; goes with `CreateStream`.

    A `transient` one is in no list and no branch is found in it: it is to be dropped once its reply has ended.
    `alias` is the id that a client has given it.
    """

    principal: str
    conversation: Conversation
    transient: bool = False
    alias: str | None = None


class AddMessage(msgspec.Struct, frozen=True):
    """The entry's conversation gets a message, its new head; a reply with what it was asked for with."""

    message: Message
    parameters: Parameters = Parameters()


class SaveReply(msgspec.Struct, frozen=True):
    """A reply of the entry's conversation started or ended."""

    reply: Reply


class SaveNote(msgspec.Struct, frozen=True):
    """What a door keeps with a reply of the entry's conversation is another now."""

    reply_id: str
    note: Mapping[str, Any]


class Rename(msgspec.Struct, frozen=True):
    """The entry's conversation gets another title."""

    title: str
    at: datetime


class DropConversation(msgspec.Struct, frozen=True):
    """The entry's conversation goes, with its events, messages and stream."""


class KeepAnswer(msgspec.Struct, frozen=True):
    """An idempotency record: `scope` names the request, `request` is the digest of its bytes."""

    scope: bytes
    request: bytes
    answer: bytes
    at: datetime


Row = CreateStream | CreateConversation | AddMessage | SaveReply | SaveNote | Rename | DropConversation | KeepAnswer


class Entry(msgspec.Struct, frozen=True):
    """What a commit brings to one stream: events in order, and the rows that follow from them."""

    stream: str
    records: Sequence[Record]
    rows: Sequence[Row] = ()


class Settlement(msgspec.Struct, frozen=True):
    """The oldest committed records of one stream that are not in a block yet: all of them, or there are `more`.

    Blocks that end before `keep_from` may go.
    """

    stream: str
    records: Sequence[Record]
    keep_from: int = 0
    more: bool = False


class Commit(msgspec.Struct, frozen=True):
    """One transaction: settlements first, then the entries in order."""

    entries: Sequence[Entry]
    settlements: Sequence[Settlement] = ()


class StoredStream(msgspec.Struct, frozen=True):
    """A stream at rest: its epoch, and its first and last settled numbers (`first` is 1 and `last` 0 when empty)."""

    epoch: str
    first: int
    last: int


class StoredConversation(msgspec.Struct, frozen=True):
    """A conversation at rest, with the outlines of all its messages in order of creation."""

    principal: str
    conversation: Conversation
    outlines: Sequence[Outline]
    transient: bool = False


class StoredReply(msgspec.Struct, frozen=True):
    """A reply's row: the message, what it was asked for with, and the number of the event that precedes its entry."""

    reply: Reply
    parameters: Parameters
    after: int


class StoredBranch(msgspec.Struct, frozen=True):
    """Where a branch is stored: the message that it ends with, which is the one of the `place`-th digest asked for."""

    conversation_id: str
    message_id: str
    place: int


class StoredAnswer(msgspec.Struct, frozen=True):
    """An idempotency record as kept, with the epoch and the number that precede its entry's first event."""

    request: bytes
    answer: bytes
    after: int


class Change(msgspec.Struct, frozen=True):
    """What has changed with a number: a message at a position, or, without one, the conversation's title or existence.

    It tells what is there now, whatever it was then. `conversation` is a number that no other one is ever given; it has
    no `principal` once it is gone. `updated` is the time of its last activity, in microseconds. `text` is None where
    there is nothing to find: what is gone, and a reply that has not ended.
    """

    number: int
    conversation: int
    position: int | None
    principal: str | None
    updated: int
    text: str | None


class Found(msgspec.Struct, frozen=True):
    """A message's text, or, where `message_id` is None, a conversation's title."""

    conversation: Conversation
    message_id: str | None
    text: str


class Match(msgspec.Struct, frozen=True):
    """The place where a search found something, the newest of its conversation; `updated` as in a change."""

    updated: int
    conversation: int
    position: int | None


class Engine(Protocol):
    """Where the log and the conversations are stored."""

    async def claim(self) -> dict[str, list[Record]]:
        """Take the store over and return the journal's unsettled records by stream.

        Raises `StartError` when another process holds it, or when it is damaged, too new, or cannot be written.
        """

    def epoch(self, salt: bytes) -> str:
        """Return the epoch of a stream with that salt; only after `claim`."""

    async def commit(self, commit: Commit) -> None:
        """Store one commit; an empty one writes as well, and so tells whether the store works. Raises `NotStoring`."""

    async def stream(self, name: str) -> StoredStream | None:
        """Return a stream's epoch and settled range."""

    async def read(self, stream: str, after: int, limit: int) -> list[Record]:
        """Return settled records with numbers above `after`, in order and without a hole, about `limit` at most."""

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation with its outlines."""

    async def conversations(
        self, principal: str, before: tuple[int, int] | None, limit: int
    ) -> tuple[list[Conversation], tuple[int, int] | None]:
        """Return a page of a principal's conversations, newest activity first, and where the next page begins."""

    async def messages(
        self, conversation_id: str, ids: Sequence[str], max_bytes: int | None = None
    ) -> dict[str, Message]:
        """Return messages whole, by id, until the next one would exceed `max_bytes`; unknown ids are left out."""

    async def page(
        self, conversation_id: str, before: int | None, limit: int, max_bytes: int
    ) -> tuple[list[Message], int | None]:
        """Return the newest messages before a position, in order of creation, and where the page before them ends."""

    async def reply(self, conversation_id: str, reply_id: str) -> StoredReply | None:
        """Return a reply's row."""

    async def unfinished(self) -> list[str]:
        """Return the ids of the conversations that hold replies that have not ended, and of the transient ones."""

    async def aliased(self, principal: str, alias: str) -> str | None:
        """Return the id of the newest conversation of that alias."""

    async def branch(
        self, principal: str, digests: Sequence[bytes], conversation_id: str | None = None
    ) -> StoredBranch | None:
        """Return the newest place where the last of these branches is stored that is stored anywhere.

        See `app.branches`. A branch that ends with a reply that has not ended is not stored yet. Where no conversation
        is named, only branches count that hold an answer given here.
        """

    async def answer(self, scope: bytes, since: datetime) -> StoredAnswer | None:
        """Return an idempotency record that is not older than `since`."""

    async def changed(self) -> int:
        """Return the number of the newest change, 0 where nothing has ever changed."""

    async def changes(self, after: int, limit: int, max_bytes: int) -> list[Change]:
        """Return changes with numbers above `after`, in order: at most `limit`, and until they reach `max_bytes`."""

    async def found(
        self, principal: str, places: Sequence[tuple[int, int | None]], max_bytes: int
    ) -> list[Found | None]:
        """Return what is at places, each a change's `conversation` and `position`, in order, until it is `max_bytes`.

        None stands for what is gone, or is another principal's.
        """

    async def close(self) -> None:
        """Let the store go."""
