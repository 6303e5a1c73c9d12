"""Reads what a connection has kept, by the rules of HTTP and of event streams, to prove that the load counts right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.load import Connection

_LINE = re.compile(r"\r\n|\r|\n")


class Wrong(Exception):
    """A server did not send what it was asked for; its figures would mean nothing."""


class Frame(NamedTuple):
    """One event of a stream."""

    event: str
    data: str
    id: str


def same(got: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `Wrong` unless both are equal."""
    if list(got) != list(wanted):
        raise Wrong(f"{len(got)} events where {len(wanted)} were due, or others: {got[:3]} ...")


def frames(connection: Connection) -> Iterator[Frame]:
    """Yield the events of the first answer that a connection has kept, as far as they are whole."""
    assert connection.kept is not None
    _, _, body = b"".join(connection.kept).partition(b"\r\n\r\n")
    event, identifier = "message", ""
    data: list[str] = []
    for line in _LINE.split(dechunked(body).decode("utf-8", "replace")):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Frame(event, "\n".join(data), identifier)
            event, identifier, data = "message", "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id":
            identifier = value


def dechunked(body: bytes) -> bytes:
    """Return the content of a chunked body, as far as it has come."""
    pieces = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16) if rest else 0
        if not length:
            break
        pieces.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(pieces)
