"""The native dialect as frames. The shared vectors hold exact bytes; here are the rules behind them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs import sse
from app.events import BroadcastMessage, ConversationDeleted, Record, ReplyDelta
from app.ids import Cursor
from tests.support.properties import PROPERTY
from tests.support.sse import Parser

EPOCH = "abcdefghijkl"

nasty = st.text(st.sampled_from("ab :\r\n\0\u2028\u2029\x85\x0b\x0c\x1c\ufeff\u202e👋") | st.characters(codec="utf-8"))
broadcasts = nasty.filter(lambda text: "\0" not in text)


def records_of(*texts: str) -> list[Record]:
    return [Record.of(seq, 0, ReplyDelta("r", 0, text)) for seq, text in enumerate(texts, start=1)]


def read_lines(text: str) -> str:
    return re.sub("\r\n|\r", "\n", text)


@PROPERTY
@given(nasty)
def test_any_text_of_a_model_travels_as_one_line_of_json(text):
    (record,) = records_of(text)

    frame = sse.frame(EPOCH, record)

    (read,) = Parser().feed(frame)
    assert read.json == {"type": "reply.delta", "reply_id": "r", "part": 0, "text": text}
    assert (read.event, read.id) == ("reply.delta", f"{EPOCH}-000000000001")
    assert frame.count(b"\n") == 4
    assert b"\r" not in frame
    assert b"\0" not in frame


@PROPERTY
@given(st.lists(broadcasts, max_size=5))
def test_any_broadcast_text_reads_as_itself_and_sets_no_field(texts):
    records = [Record.of(seq, 0, BroadcastMessage(text)) for seq, text in enumerate(texts, start=1)]
    parser = Parser()

    frames = parser.feed(b"".join(sse.frame(EPOCH, record) for record in records))

    assert [(f.event, f.data, f.seq) for f in frames] == [
        ("message", read_lines(text), seq) for seq, text in enumerate(texts, start=1)
    ]
    assert parser.retry is None


@PROPERTY
@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 600))
def test_chunks_lose_nothing_reorder_nothing_and_stay_near_their_size(sizes, max_bytes):
    records = records_of(*("x" * size for size in sizes))
    frames = [sse.frame(EPOCH, record) for record in records]

    pieces = list(sse.chunks(EPOCH, records, max_bytes))

    assert b"".join(pieces) == b"".join(frames)
    assert all(pieces)
    assert all(len(piece) <= max(max_bytes, *map(len, frames)) for piece in pieces)
    assert all(piece.endswith(b"\n\n") for piece in pieces)
    assert all(
        len(piece) + len(after.partition(b"\n\n")[0]) + 2 > max_bytes for piece, after in itertools.pairwise(pieces)
    )


def test_no_records_are_no_chunks():
    assert list(sse.chunks(EPOCH, [], 100)) == []


def test_a_frame_is_made_once_and_shared():
    (record,) = records_of("Hi")

    assert sse.frame(EPOCH, record) is sse.frame(EPOCH, record)
    assert next(iter(sse.chunks(EPOCH, [record], 1))) == record.frame


def test_a_control_frame_has_no_id_unless_it_is_true_at_a_position():
    assert sse.control("ping", {"cursor": "x"}) == b'event: ping\ndata: {"type":"ping","cursor":"x"}\n\n'
    assert sse.control("snapshot", {}, Cursor(EPOCH, 5)) == (
        b'id: abcdefghijkl-000000000005\nevent: snapshot\ndata: {"type":"snapshot"}\n\n'
    )


def test_number_zero_is_a_position_too():
    assert sse.control("snapshot", {}, Cursor(EPOCH, 0)).startswith(b"id: abcdefghijkl-000000000000\n")


def test_a_control_frame_leaves_the_clients_cursor_where_it_was():
    parser = Parser()
    parser.feed(sse.frame(EPOCH, records_of("Hi")[0]))

    parser.feed(sse.control("ping", {"cursor": "x"}) + sse.text("A new user joined!") + sse.retry(1500))

    assert parser.last_event_id == f"{EPOCH}-000000000001"
    assert parser.retry == 1500


def test_a_notice_is_plain_text_without_an_id():
    assert sse.text("A new user joined!") == b"data: A new user joined!\n\n"


def test_retry_is_a_line_of_its_own_that_dispatches_nothing():
    parser = Parser()

    assert sse.retry(1500) == b"retry: 1500\n\n"
    assert parser.feed(sse.retry(1500)) == []


@pytest.mark.parametrize("event", [ConversationDeleted(), BroadcastMessage(""), ReplyDelta("r", 0, "")])
def test_even_an_empty_event_is_dispatched(event):
    frames = Parser().feed(sse.frame(EPOCH, Record.of(3, 0, event)))

    assert [(frame.event, frame.seq) for frame in frames] == [(event.__struct_config__.tag, 3)]
