"""The SQLite schema, one migration per version. A migration that has been released is never edited."""

from __future__ import annotations

import sqlite3

from app.errors import StartError

APPLICATION_ID = 0x7469636B
"""Marks a SQLite file as ours ("tick"), so that a foreign database is refused and not filled."""

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

    -- AUTOINCREMENT: a number of a deleted stream must never mean another one.
    CREATE TABLE streams (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        salt BLOB NOT NULL
    );

    -- The newest events of all streams, a row per commit. An id may come again once all rows before it are gone.
    CREATE TABLE journal (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);

    CREATE TABLE blocks (
        stream INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        records BLOB NOT NULL,
        PRIMARY KEY (stream, first)
    );

    CREATE TABLE conversations (
        stream INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        principal TEXT NOT NULL,
        title TEXT NOT NULL,
        head TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    );
    CREATE INDEX conversations_by_activity ON conversations (principal, updated_at, stream);

    -- `after` is the number of the event before the message's own entry.
    CREATE TABLE messages (
        stream INTEGER NOT NULL,
        position INTEGER NOT NULL,
        id TEXT NOT NULL,
        parent TEXT,
        role TEXT NOT NULL,
        status TEXT NOT NULL,
        after INTEGER NOT NULL,
        options BLOB NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (stream, position)
    );
    CREATE UNIQUE INDEX messages_by_id ON messages (stream, id);
    CREATE INDEX messages_live ON messages (stream, id) WHERE status IN ('accepted', 'running');

    CREATE TABLE answers (
        scope BLOB PRIMARY KEY,
        request BLOB NOT NULL,
        answer BLOB NOT NULL,
        after INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX answers_by_age ON answers (created_at);
    """,
    """
    -- What has changed, for who follows the store: a message, or, at position -1, a conversation's title or existence.
    -- Rows stay when a conversation goes, so that no number ever comes again.
    CREATE TABLE changes (number INTEGER PRIMARY KEY, stream INTEGER NOT NULL, position INTEGER NOT NULL);
    INSERT INTO changes (stream, position) SELECT stream, -1 FROM conversations;
    INSERT INTO changes (stream, position) SELECT stream, position FROM messages;
    """,
    """
    -- Transient: to be dropped once its reply has ended.
    ALTER TABLE conversations ADD COLUMN transient INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX conversations_transient ON conversations (stream) WHERE transient;

    -- The id that a client has given it.
    ALTER TABLE conversations ADD COLUMN alias TEXT;
    CREATE INDEX conversations_by_alias ON conversations (alias) WHERE alias IS NOT NULL;

    -- A reply has more to keep than its responder's options.
    ALTER TABLE messages RENAME COLUMN options TO parameters;
    UPDATE messages SET parameters = CAST('{"options":' || CAST(parameters AS TEXT) || '}' AS BLOB)
        WHERE parameters <> CAST('{}' AS BLOB);

    -- The digest of the branch that ends with a message; null while a reply has not ended, and before this version.
    ALTER TABLE messages ADD COLUMN branch BLOB;
    -- Whether that branch holds an answer that was given here, and not one that a client has sent.
    ALTER TABLE messages ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX messages_by_branch ON messages (branch, stream, position) WHERE branch IS NOT NULL;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest schema, each version in a transaction of its own.

    Raises `StartError` for a database that is not ours or that a newer version has written.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != APPLICATION_ID and tables:
        raise StartError("The database in the data folder belongs to another program.")
    if version > len(MIGRATIONS):
        raise StartError(
            f"The database has schema version {version}; this version of Tickertape knows {len(MIGRATIONS)} at most."
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT;"
        )
