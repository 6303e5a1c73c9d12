"""The questions that the SQLite engine answers, each over one connection and within one read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.engine.base import Change, Found, StoredAnswer, StoredBranch, StoredConversation, StoredReply, StoredStream
from app.engine.blocks import BLOCK_RECORDS, unpack_block
from app.events import Record
from app.ids import make_epoch
from app.messages import LIVE, Conversation, Message, Outline, Parameters, Reply

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

READ_BYTES = 2**20
"""A read of records ends with the block that reaches this."""


class _TextOf(msgspec.Struct):
    """A message's body, read for its text alone."""

    text: str


_message = msgspec.json.Decoder(Message).decode
_reply = msgspec.json.Decoder(Reply).decode
_text = msgspec.json.Decoder(_TextOf).decode
read_parameters = msgspec.json.Decoder(Parameters).decode

_CONVERSATION = "id, title, head, created_at, updated_at, stream, principal, transient"


def to_micros(time: datetime) -> int:
    """Return a time as microseconds since 1970, exactly."""
    return (time - _EPOCH_START) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that `to_micros` was given."""
    return _EPOCH_START + micros * _MICROSECOND


def stream(db: sqlite3.Connection, name: str, generation: bytes) -> StoredStream | None:
    """Return a stream's epoch and settled range."""
    row = db.execute("SELECT number, salt FROM streams WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    number, salt = row
    first, last = db.execute("SELECT min(first), max(last) FROM blocks WHERE stream = ?", (number,)).fetchone()
    return StoredStream(make_epoch(salt, generation), first or 1, last or 0)


def records(db: sqlite3.Connection, name: str, after: int, limit: int) -> list[Record]:
    """Return settled records above `after`: whole blocks until `limit` or `READ_BYTES` is reached."""
    found: list[Record] = []
    size = 0
    blocks = db.execute(
        "SELECT b.records FROM blocks b JOIN streams s ON s.number = b.stream"
        " WHERE s.name = ? AND b.first > ? - ? AND b.last > ? ORDER BY b.first",
        # No block is longer than the bound below: it lets the primary key find the first one.
        (name, after, BLOCK_RECORDS, after),
    )
    for (block,) in blocks:
        new = [record for record in unpack_block(block) if record.seq > after]
        found += new
        size += sum(len(record.data) for record in new)
        if len(found) >= limit or size >= READ_BYTES:
            break
    return found


def conversation(db: sqlite3.Connection, conversation_id: str) -> StoredConversation | None:
    """Return a conversation with the outlines of its messages."""
    row = db.execute(f"SELECT {_CONVERSATION} FROM conversations WHERE id = ?", (conversation_id,)).fetchone()  # noqa: S608
    if row is None:
        return None
    outlines = [
        Outline(*fields)
        for fields in db.execute(
            "SELECT id, parent, role, status FROM messages WHERE stream = ? ORDER BY position", (row[5],)
        )
    ]
    running = tuple(outline.id for outline in outlines if outline.live)
    return StoredConversation(row[6], _conversation(row, running), outlines, transient=bool(row[7]))


def conversations(
    db: sqlite3.Connection, principal: str, before: tuple[int, int] | None, limit: int
) -> tuple[list[Conversation], tuple[int, int] | None]:
    """Return a page of conversations and the key that the next one begins before."""
    updated, number = before or (2**63 - 1, 2**63 - 1)
    rows = db.execute(
        f"SELECT {_CONVERSATION} FROM conversations WHERE principal = ? AND (updated_at, stream) < (?, ?)"  # noqa: S608
        " AND NOT transient ORDER BY updated_at DESC, stream DESC LIMIT ?",
        (principal, updated, number, limit + 1),
    ).fetchall()
    page = [_conversation(row, _running(db, row[5])) for row in rows[:limit]]
    return page, (rows[limit - 1][4], rows[limit - 1][5]) if len(rows) > limit else None


def messages(
    db: sqlite3.Connection, conversation_id: str, ids: Sequence[str], max_bytes: int | None
) -> dict[str, Message]:
    """Return messages whole, by id, until the next one would exceed `max_bytes`."""
    number = _number(db, conversation_id)
    found: dict[str, Message] = {}
    size = 0
    for id in ids:
        row = db.execute("SELECT role, body FROM messages WHERE stream = ? AND id = ?", (number, id)).fetchone()
        if row is None:
            continue
        size += len(row[1])
        if max_bytes is not None and size > max_bytes:
            break
        found[id] = _body(*row)
    return found


def page(
    db: sqlite3.Connection, conversation_id: str, before: int | None, limit: int, max_bytes: int
) -> tuple[list[Message], int | None]:
    """Return the newest messages before a position: at most `limit`, and no more than one over `max_bytes`."""
    rows = db.execute(
        "SELECT role, body, position FROM messages WHERE stream = ? AND position < ? ORDER BY position DESC",
        (_number(db, conversation_id), 2**63 - 1 if before is None else before),
    )
    found: list[Message] = []
    position, size = 0, 0
    for role, body, next_position in rows:
        if len(found) == limit or (found and size + len(body) > max_bytes):
            return found[::-1], position
        found.append(_body(role, body))
        position, size = next_position, size + len(body)
    return found[::-1], None


def reply(db: sqlite3.Connection, conversation_id: str, reply_id: str) -> StoredReply | None:
    """Return a reply's row."""
    row = db.execute(
        "SELECT body, parameters, after FROM messages WHERE stream = ? AND id = ? AND role = 'assistant'",
        (_number(db, conversation_id), reply_id),
    ).fetchone()
    return StoredReply(_reply(row[0]), read_parameters(row[1]), row[2]) if row else None


def unfinished(db: sqlite3.Connection) -> list[str]:
    """Return the ids of transient conversations, and of those with live replies, in order of creation."""
    rows = db.execute(
        "SELECT c.stream, c.id FROM messages m JOIN conversations c ON c.stream = m.stream"
        " WHERE m.status IN ('accepted', 'running') UNION SELECT stream, id FROM conversations WHERE transient"
        " ORDER BY 1"
    )
    return [id for _, id in rows]


def aliased(db: sqlite3.Connection, principal: str, alias: str) -> str | None:
    """Return the id of the newest conversation of an alias."""
    row = db.execute(
        "SELECT id FROM conversations WHERE alias = ? AND principal = ? ORDER BY stream DESC LIMIT 1",
        (alias, principal),
    ).fetchone()
    return row[0] if row else None


def branch(
    db: sqlite3.Connection, principal: str, digests: Sequence[bytes], conversation_id: str | None
) -> StoredBranch | None:
    """Return where the last of these branches is stored that is stored anywhere."""
    for place, digest in reversed(list(enumerate(digests))):
        row = (
            _answered_branch(db, principal, digest)
            if conversation_id is None
            else _branch_of(db, principal, digest, conversation_id)
        )
        if row:
            return StoredBranch(row[0], row[1], place)
    return None


def _answered_branch(db: sqlite3.Connection, principal: str, digest: bytes) -> tuple[str, str] | None:
    return db.execute(  # type: ignore[no-any-return]
        "SELECT c.id, m.id FROM messages m JOIN conversations c ON c.stream = m.stream"
        " WHERE m.branch = ? AND m.answered AND c.principal = ? AND NOT c.transient"
        " ORDER BY m.stream DESC, m.position DESC LIMIT 1",
        (digest, principal),
    ).fetchone()


def _branch_of(db: sqlite3.Connection, principal: str, digest: bytes, conversation_id: str) -> tuple[str, str] | None:
    return db.execute(  # type: ignore[no-any-return]
        "SELECT ?, id FROM messages WHERE branch = ? AND stream ="
        " (SELECT stream FROM conversations WHERE id = ? AND principal = ?) ORDER BY position DESC LIMIT 1",
        (conversation_id, digest, conversation_id, principal),
    ).fetchone()


def answer(db: sqlite3.Connection, scope: bytes, since: datetime) -> StoredAnswer | None:
    """Return an idempotency record that is not older than `since`."""
    row = db.execute(
        "SELECT request, answer, after FROM answers WHERE scope = ? AND created_at >= ?", (scope, to_micros(since))
    ).fetchone()
    return StoredAnswer(*row) if row else None


def changed(db: sqlite3.Connection) -> int:
    """Return the number of the newest change."""
    (number,) = db.execute("SELECT max(number) FROM changes").fetchone()
    return number or 0


def changes(db: sqlite3.Connection, after: int, limit: int, max_bytes: int) -> list[Change]:
    """Return changes above `after`, each with what is there now."""
    found: list[Change] = []
    size = 0
    for number, stream, position, principal, updated, title, status, body in db.execute(
        "SELECT x.number, x.stream, x.position, c.principal, c.updated_at, c.title, m.status, m.body FROM changes x"
        " LEFT JOIN conversations c ON c.stream = x.stream AND NOT c.transient"
        " LEFT JOIN messages m ON m.stream = c.stream AND m.position = x.position"
        " WHERE x.number > ? ORDER BY x.number LIMIT ?",
        (after, limit),
    ):
        text = title if position < 0 else _text(body).text if body is not None and status not in LIVE else None
        found.append(Change(number, stream, None if position < 0 else position, principal, updated or 0, text))
        size += len(body or title or "")
        if size >= max_bytes:
            break
    return found


def found(
    db: sqlite3.Connection, principal: str, places: Sequence[tuple[int, int | None]], max_bytes: int
) -> list[Found | None]:
    """Return what is at places, until it is `max_bytes`."""
    there: list[Found | None] = []
    size = 0
    for stream, position in places:
        if size >= max_bytes:
            break
        found = _found(db, principal, stream, position)
        there.append(found)
        size += len(found.text) if found else 0
    return there


def _found(db: sqlite3.Connection, principal: str, stream: int, position: int | None) -> Found | None:
    row = db.execute(
        f"SELECT {_CONVERSATION} FROM conversations WHERE stream = ? AND principal = ?",  # noqa: S608
        (stream, principal),
    ).fetchone()
    if row is None:
        return None
    conversation = _conversation(row, _running(db, stream))
    if position is None:
        return Found(conversation, None, conversation.title)
    message = db.execute(
        "SELECT id, body FROM messages WHERE stream = ? AND position = ?", (stream, position)
    ).fetchone()
    return Found(conversation, message[0], _text(message[1]).text) if message else None


def _number(db: sqlite3.Connection, conversation_id: str) -> int:
    row = db.execute("SELECT stream FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    return row[0] if row else -1


def _running(db: sqlite3.Connection, number: int) -> tuple[str, ...]:
    rows = db.execute(
        "SELECT id FROM messages WHERE stream = ? AND status IN ('accepted', 'running') ORDER BY position", (number,)
    )
    return tuple(id for (id,) in rows)


def _conversation(row: tuple[Any, ...], running: tuple[str, ...]) -> Conversation:
    id, title, head, created_at, updated_at, *_ = row
    return Conversation(
        id=id,
        title=title,
        head=head,
        running=running,
        created_at=from_micros(created_at),
        updated_at=from_micros(updated_at),
    )


def _body(role: str, body: bytes) -> Message:
    return _reply(body) if role == "assistant" else _message(body)
