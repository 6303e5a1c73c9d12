"""The store's generation: which of the copies of a database this is, as far as that can be told (G4)."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path


def note_generation(db: sqlite3.Connection, path: Path) -> bytes:
    """Return the store's generation: a new one when the file is not the one that it says it is.

    A copy to which the file system gives the inode of what it replaces cannot be told, nor can a restored image of a
    disk. Times would tell some of these, but they change with `chown` and `chmod`, too.
    """
    status = path.stat()
    place = f"{status.st_dev}:{status.st_ino}".encode()
    noted = dict(db.execute("SELECT key, value FROM meta"))
    if noted.get("place") == place:
        return bytes(noted["generation"])
    generation = secrets.token_bytes(16)
    db.execute("BEGIN IMMEDIATE")
    db.executemany("REPLACE INTO meta VALUES (?, ?)", [("place", place), ("generation", generation)])
    db.execute("COMMIT")
    return generation
