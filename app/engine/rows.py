"""What the SQLite engine writes, each within the transaction of one commit."""

from __future__ import annotations

import sqlite3

import msgspec

from app.branches import answers, digest
from app.engine.base import (
    ANSWERS_KEPT,
    AddMessage,
    CreateConversation,
    CreateStream,
    DropConversation,
    Entry,
    KeepAnswer,
    Rename,
    Row,
    SaveNote,
    SaveReply,
    Settlement,
)
from app.engine.blocks import cut_blocks, pack_block
from app.engine.queries import read_parameters, to_micros
from app.messages import Message

_encode = msgspec.json.Encoder().encode

_CONVERSATION = -1
"""The position of a change to a conversation's title or existence."""

_OF_A_STREAM = (
    "DELETE FROM blocks WHERE stream = ?",
    "DELETE FROM messages WHERE stream = ?",
    "DELETE FROM conversations WHERE stream = ?",
    "DELETE FROM streams WHERE number = ?",
)


def settle(db: sqlite3.Connection, settlement: Settlement) -> None:
    """Store a stream's settled records as blocks, and drop the blocks that it no longer keeps."""
    number = _number(db, settlement.stream)
    for block in cut_blocks(settlement.records):
        db.execute(
            "INSERT INTO blocks (stream, first, last, records) VALUES (?, ?, ?, ?)",
            (number, block[0].seq, block[-1].seq, pack_block(block)),
        )
    db.execute("DELETE FROM blocks WHERE stream = ? AND last < ?", (number, settlement.keep_from))


def trim_journal(db: sqlite3.Connection, oldest: int | None) -> None:
    """Drop the journal's rows before `oldest`, all of them where it is None."""
    db.execute("DELETE FROM journal WHERE id < ?", (2**63 - 1 if oldest is None else oldest,))


def apply(db: sqlite3.Connection, entry: Entry, row: Row) -> None:
    """Write one row of an entry."""
    match row:
        case CreateStream(salt):
            db.execute("INSERT INTO streams (name, salt) VALUES (?, ?)", (entry.stream, salt))
        case CreateConversation():
            _create_conversation(db, _number(db, entry.stream), row)
        case AddMessage():
            _add_message(db, _number(db, entry.stream), _after(entry), row)
        case SaveReply():
            _save_reply(db, _number(db, entry.stream), row)
        case SaveNote():
            _save_note(db, _number(db, entry.stream), row)
        case Rename(title, at):
            number = _number(db, entry.stream)
            db.execute(
                "UPDATE conversations SET title = ?, updated_at = ? WHERE stream = ?", (title, to_micros(at), number)
            )
            _note_change(db, number, _CONVERSATION)
        case DropConversation():
            number = _number(db, entry.stream)
            for statement in _OF_A_STREAM:
                db.execute(statement, (number,))
            _note_change(db, number, _CONVERSATION)
        case KeepAnswer(scope, request, answer, at):
            db.execute("DELETE FROM answers WHERE created_at < ?", (to_micros(at - ANSWERS_KEPT),))
            db.execute(
                "REPLACE INTO answers (scope, request, answer, after, created_at) VALUES (?, ?, ?, ?, ?)",
                (scope, request, answer, _after(entry), to_micros(at)),
            )


def _create_conversation(db: sqlite3.Connection, number: int, row: CreateConversation) -> None:
    new = row.conversation
    db.execute(
        "INSERT INTO conversations (stream, id, principal, title, head, created_at, updated_at, transient,"
        " alias) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            new.id,
            row.principal,
            new.title,
            new.head,
            to_micros(new.created_at),
            to_micros(new.updated_at),
            row.transient,
            row.alias,
        ),
    )
    _note_change(db, number, _CONVERSATION)


def _add_message(db: sqlite3.Connection, number: int, after: int, row: AddMessage) -> None:
    message = row.message
    (position,) = db.execute(
        "SELECT coalesce(max(position), -1) + 1 FROM messages WHERE stream = ?", (number,)
    ).fetchone()
    db.execute(
        "INSERT INTO messages (stream, position, id, parent, role, status, after, parameters, body, branch,"
        " answered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            position,
            message.id,
            message.parent,
            message.role,
            message.status,
            after,
            _encode(row.parameters),
            _encode(message),
            *_branch(db, number, message),
        ),
    )
    db.execute(
        "UPDATE conversations SET head = ?, updated_at = ? WHERE stream = ?",
        (message.id, to_micros(message.created_at), number),
    )
    _note_change(db, number, position)


def _save_reply(db: sqlite3.Connection, number: int, row: SaveReply) -> None:
    reply = row.reply
    db.execute(
        "UPDATE messages SET status = ?, body = ?, branch = ?, answered = ? WHERE stream = ? AND id = ?",
        (reply.status, _encode(reply), *_branch(db, number, reply), number, reply.id),
    )
    if reply.ended_at:
        db.execute("UPDATE conversations SET updated_at = ? WHERE stream = ?", (to_micros(reply.ended_at), number))
        (position,) = db.execute(
            "SELECT position FROM messages WHERE stream = ? AND id = ?", (number, reply.id)
        ).fetchone()
        _note_change(db, number, position)


def _save_note(db: sqlite3.Connection, number: int, row: SaveNote) -> None:
    ((stored,),) = db.execute("SELECT parameters FROM messages WHERE stream = ? AND id = ?", (number, row.reply_id))
    parameters = msgspec.structs.replace(read_parameters(stored), note=row.note)
    db.execute(
        "UPDATE messages SET parameters = ? WHERE stream = ? AND id = ?", (_encode(parameters), number, row.reply_id)
    )


def _branch(db: sqlite3.Connection, number: int, message: Message) -> tuple[bytes | None, bool]:
    """Return the digest of the branch that ends with a message, None where that may change, or is not known; and
    whether it holds an answer that was given here.
    """
    if message.live:
        return None, False
    before: bytes | None = b""
    answered = False
    if message.parent is not None:
        query = "SELECT branch, answered FROM messages WHERE stream = ? AND id = ?"
        before, answered = db.execute(query, (number, message.parent)).fetchone() or (None, False)
    return None if before is None else digest(before, message), bool(answered) or answers(message)


def _note_change(db: sqlite3.Connection, number: int, position: int) -> None:
    db.execute("INSERT INTO changes (stream, position) VALUES (?, ?)", (number, position))


def _number(db: sqlite3.Connection, stream: str) -> int:
    (number,) = db.execute("SELECT number FROM streams WHERE name = ?", (stream,)).fetchone()
    return number  # type: ignore[no-any-return]


def _after(entry: Entry) -> int:
    return entry.records[0].seq - 1 if entry.records else 0
