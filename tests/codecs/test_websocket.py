"""Lines of the native dialect, and the messages of a WebSocket that carry them, read by another implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from app.codecs import lines
from app.codecs.websocket import make_messages
from app.events import BroadcastMessage, ConversationDeleted, Record, ReplyDelta
from app.ids import Cursor
from tests.support.properties import PROPERTY

EPOCH = "abcdefghijkl"

nasty = st.text(st.sampled_from("ab :\r\n\0\u2028\u2029\x85\x0b\x0c\x1c\ufeff\u202e👋") | st.characters(codec="utf-8"))


def read(messages: bytes) -> list[Any]:
    """Return what a client reads, each message one whole frame of text."""
    client = Protocol(Side.CLIENT, state=OPEN, max_size=None)
    client.receive_data(messages)
    frames = client.events_received()
    assert all(isinstance(frame, Frame) and frame.opcode is Opcode.TEXT and frame.fin for frame in frames)
    assert not client.data_to_send()
    return [json.loads(frame.data) for frame in frames if isinstance(frame, Frame)]


@PROPERTY
@given(st.lists(nasty, max_size=5))
def test_any_text_is_one_message_with_its_id_and_its_stream(texts):
    events = [event for text in texts for event in (ReplyDelta("r", 0, text), BroadcastMessage(text))]
    records = [Record.of(seq, 0, event) for seq, event in enumerate(events, start=1)]

    joined = lines.join("conversation/c", EPOCH, records)

    assert joined.count(b"\n") == len(records)
    assert read(make_messages(joined)) == [
        {"id": str(Cursor(EPOCH, record.seq)), "stream": "conversation/c", **json.loads(record.data)}
        for record in records
    ]


def test_an_event_without_fields_is_a_message_too():
    (message,) = read(make_messages(lines.join("conversation/c", EPOCH, [Record.of(7, 0, ConversationDeleted())])))

    assert message == {"id": f"{EPOCH}-000000000007", "stream": "conversation/c", "type": "conversation.deleted"}


@pytest.mark.parametrize("length", [0, 1, 124, 125, 126, 127, 65_535, 65_536, 2**20])
def test_a_message_may_have_any_length(length):
    line = json.dumps("x" * length).encode()

    assert read(make_messages(line + b"\n" + line + b"\n")) == ["x" * length] * 2


def test_a_control_line_has_an_id_where_it_has_a_position():
    assert read(
        make_messages(lines.control("ping", {}) + lines.control("snapshot", {"cursor": 1}, Cursor(EPOCH, 2)))
    ) == [
        {"type": "ping"},
        {"id": f"{EPOCH}-000000000002", "type": "snapshot", "cursor": 1},
    ]


def test_nothing_is_no_message():
    assert make_messages(b"") == b""
