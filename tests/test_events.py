"""Events and records: their stored form, which is also the form that travels."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from app.events import (
    BroadcastMessage,
    ConversationDeleted,
    ConversationUpdated,
    Event,
    MessageCreated,
    Record,
    ReplyCreated,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    ReplyToolCall,
    ReplyToolResult,
)
from app.messages import Conversation, Failure, Reply, text_message
from responders.base import Usage

AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
CONVERSATION = Conversation(id="c", title="T", head="r", running=("r",), created_at=AT, updated_at=AT)
REPLY = Reply(
    id="r", role="assistant", parent="m", parts=(), text="", status="accepted", created_at=AT, responder="echo"
)
EVENTS = [
    MessageCreated(text_message(id="m", role="user", parent=None, text="Hi", created_at=AT)),
    ReplyCreated(REPLY),
    ReplyStarted("r", AT),
    ReplyDelta("r", 0, "Hi", at=AT),
    ReplyDelta("r", 1, "", "reasoning"),
    ReplyToolCall("r", 2, "a", "find", "{}", AT),
    ReplyToolResult("r", 3, "a", "x"),
    ReplyEnded("r", "completed", "Hi", "0" * 64, "stop", Usage(1, 2, 3), AT),
    ReplyEnded("r", "failed", "", "0" * 64, None, Usage(1, 2, 3, partial=True), AT, Failure("idle", "Nothing came.")),
    ConversationUpdated(CONVERSATION),
    ConversationDeleted(),
    BroadcastMessage("Hi, all"),
]

TAGS = {
    "message.created",
    "reply.created",
    "reply.started",
    "reply.delta",
    "reply.tool_call",
    "reply.tool_result",
    "reply.ended",
    "conversation.updated",
    "conversation.deleted",
    "message",
}

every_event = pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))


def data_of(event: Event) -> dict[str, object]:
    return json.loads(Record.of(1, 0, event).data)


def test_the_types_are_a_closed_set_and_each_is_in_these_tests():
    assert {event.__struct_config__.tag for event in get_args(Event)} == TAGS
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@every_event
def test_a_record_gives_back_its_event(event):
    record = Record.of(7, 1_700_000_000_000, event)

    assert record.event() == event
    assert (record.seq, record.at) == (7, 1_700_000_000_000)


@every_event
def test_the_json_begins_with_the_type_and_is_one_line(event):
    record = Record.of(1, 0, event)

    assert record.data.startswith(b'{"type":"%b"' % record.type.encode())
    assert b"\n" not in record.data
    assert b"\r" not in record.data
    assert record.type in TAGS


def test_a_delta_says_only_what_is_not_as_usual():
    assert data_of(ReplyDelta("r", 0, "Hi")) == {"type": "reply.delta", "reply_id": "r", "part": 0, "text": "Hi"}
    assert data_of(ReplyDelta("r", 1, "Hm", "reasoning", AT)) == {
        "type": "reply.delta",
        "reply_id": "r",
        "part": 1,
        "text": "Hm",
        "kind": "reasoning",
        "at": "2026-01-02T03:04:05.000006Z",
    }


def test_an_ending_has_no_error_where_there_is_none_and_null_where_there_is_no_finish_reason():
    completed, failed = (data_of(event) for event in EVENTS if isinstance(event, ReplyEnded))

    assert "error" not in completed
    assert failed["error"] == {"code": "idle", "message": "Nothing came."}
    assert failed["finish_reason"] is None
    assert completed["usage"] == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert failed["usage"] == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "partial": True}


def test_a_deletion_is_nothing_but_its_type():
    assert data_of(ConversationDeleted()) == {"type": "conversation.deleted"}


@pytest.mark.parametrize(
    "data", [b'{"type":"reply.exploded"}', b"{}", b'{"type":"reply.started","reply_id":"r"}', b"[]", b""]
)
def test_data_that_is_no_event_is_an_error_and_not_a_guess(data):
    with pytest.raises(msgspec.DecodeError):
        Record(1, 0, "reply.started", data).event()


def test_a_later_version_may_add_fields():
    record = Record(
        1, 0, "reply.started", b'{"type":"reply.started","reply_id":"r","at":"2026-01-02T03:04:05Z","why":1}'
    )

    assert record.event() == ReplyStarted("r", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_records_are_equal_when_their_facts_are():
    event = BroadcastMessage("Hi")
    record, same = Record.of(1, 2, event), Record.of(1, 2, event)
    same.frame = b"made once"

    assert record == same
    assert hash(record) == hash(same)
    assert record not in [Record.of(2, 2, event), Record.of(1, 3, event), Record.of(1, 2, ConversationDeleted()), event]
