"""The reader of upstreams' streams, held against httpx2's: the same events from any bytes in any pieces.

They differ in five things, and each is meant:

- An event without a data line is none here, as in the standard; httpx2 hands it on, with empty data.
- A byte order mark at the start is skipped here, as in the standard; to httpx2 it belongs to the first field's name.
- A carriage return that ends the stream ends a line here; to httpx2 it ends a blank one behind it as well, and so an
  event that the standard drops.
- `id` and `retry` are passed over here: no upstream of chat completions is resumed.
- Ours hands over bytes, and its limit counts data and single lines; httpx2's counts a whole event, 1 MiB by default.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from responders.sse import EventReader
from tests.support.properties import PROPERTY

LIMIT = 1024 * 1024
NAMES = [b"data"] * 6 + [b"event", b"id", b"retry", b"", b"other", b" data", b"data\0"]
COLONS = [b": "] * 4 + [b":", b":  ", b""]
ENDS = [b"\n"] * 3 + [b"\n\n"] * 3 + [b"\r\n", b"\r\n\r\n", b"\r", b"\r\r", b""]
# What str.splitlines takes for the end of a line, and event streams do not; then half a character, and none at all.
ODD = [text.encode() for text in ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c")] + [b"\xe2\x82", b"\xff", b"\0"]
values = st.lists(st.sampled_from([b"a", b"7", b"{}", b" ", b":", b"\xe2\x82\xac", *ODD]), max_size=4).map(b"".join)
lines = st.tuples(st.sampled_from(NAMES), st.sampled_from(COLONS), values, st.sampled_from(ENDS)).map(b"".join)
streams = st.lists(lines | st.binary(max_size=3), max_size=12).map(b"".join)

Events = list[tuple[str, str]]


class Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


def read_by_httpx2(pieces: list[bytes]) -> Events:
    response = httpx2.Response(
        200,
        headers={"Content-Type": "text/event-stream"},
        stream=Pieces(pieces),
        request=httpx2.Request("POST", "http://upstream.example"),
    )
    return [(event.event, event.data) for event in httpx2.EventSource(response)]


def read_by_ours(pieces: list[bytes]) -> Events:
    reader = EventReader(LIMIT)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [(event.type.decode(errors="replace") or "message", event.data.decode(errors="replace")) for event in events]


def with_data(events: Events) -> Events:
    return [event for event in events if event[1]]


@settings(PROPERTY, max_examples=300)
@given(streams, st.lists(st.integers(0, 200), max_size=12))
@example(b"data: a\r\ndata: b\r\n\r\n", [8, 17])
@example(b"data: \xe2\x82\xac\n\n", [7, 8])
@example(b"event: error\ndata: \xe2\x82\n\n", [])
def test_any_bytes_in_any_pieces_give_the_events_that_httpx2_reads(stream: bytes, cuts: list[int]) -> None:
    stream = stream.removeprefix(codecs.BOM_UTF8)
    stream += b"\n" if stream.endswith(b"\r") else b""
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    pieces = [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]

    assert with_data(read_by_ours(pieces)) == with_data(read_by_httpx2(pieces))


@pytest.mark.parametrize(
    ("stream", "ours", "httpx2s"),
    [
        (b"event: ping\n\ndata: a\n\n", [("message", "a")], [("ping", ""), ("message", "a")]),
        (b"id: 1\n\ndata: a\n\n", [("message", "a")], [("message", ""), ("message", "a")]),
        (b"data\n\n", [("message", "")], [("message", "")]),
        (b"data: a\r", [], [("message", "a")]),
        (codecs.BOM_UTF8 + b"data: a\n\ndata: b\n\n", [("message", "a"), ("message", "b")], [("message", "b")]),
    ],
    ids=["no data", "an id alone", "empty data", "cut off behind a CR", "a byte order mark"],
)
def test_where_they_differ_ours_is_the_standards(stream: bytes, ours: Events, httpx2s: Events) -> None:
    assert read_by_ours([stream]) == ours
    assert read_by_httpx2([stream]) == httpx2s
