"""The objects of the API, as JSON and as the code asks them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from app.messages import LIVE, Conversation, Ending, Failure, Message, Outline, Reply, Status, text_message
from responders.base import Image, Reasoning, Text, ToolCall, ToolResult, Usage

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PARTS = (Reasoning("Hm"), Text("Hi"), ToolCall("a", "find", "{}"), ToolResult("a", "x"), Image("data:,"))


def reply(**fields: object) -> Reply:
    usual = {"id": "r", "role": "assistant", "parent": "m", "parts": (), "text": "", "status": "running"}
    return Reply(**{**usual, "created_at": AT, "responder": "echo", **fields})


def test_a_status_is_live_or_an_ending_and_never_both():
    assert set(get_args(Status)) == LIVE | set(get_args(Ending))
    assert not LIVE & set(get_args(Ending))


@pytest.mark.parametrize("status", get_args(Status))
def test_a_message_and_its_outline_agree_on_whether_it_is_live(status):
    assert reply(status=status).live == Outline("r", "m", "assistant", status).live == (status in LIVE)


def test_a_text_message_is_one_part_and_complete():
    message = text_message(id="m", role="user", parent=None, text=" Hi\n", created_at=AT)

    assert message.parts == (Text(" Hi\n"),)
    assert (message.text, message.status, message.live) == (" Hi\n", "completed", False)


def test_a_message_has_the_fields_that_clients_know():
    message = text_message(id="m", role="user", parent=None, text="Hi", created_at=AT)

    assert json.loads(msgspec.json.encode(message)) == {
        "id": "m",
        "role": "user",
        "parent": None,
        "parts": [{"type": "text", "text": "Hi"}],
        "text": "Hi",
        "status": "completed",
        "created_at": "2026-01-02T03:04:05Z",
    }


def test_a_reply_adds_how_it_came_about_and_how_it_ended():
    added = json.loads(msgspec.json.encode(reply())).keys() - Message.__struct_fields__

    assert added == {
        "responder",
        "started_at",
        "first_token_at",
        "ended_at",
        "finish_reason",
        "usage",
        "error",
    }


def test_the_parts_are_told_apart_by_their_type():
    parts = json.loads(msgspec.json.encode(reply(parts=PARTS)))["parts"]

    assert parts == [
        {"type": "reasoning", "text": "Hm"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_call", "call_id": "a", "name": "find", "arguments": "{}"},
        {"type": "tool_result", "call_id": "a", "result": "x"},
        {"type": "image", "url": "data:,"},
    ]


def test_a_reply_reads_as_it_was_written():
    whole = reply(
        parts=PARTS,
        text="Hi",
        status="failed",
        started_at=AT,
        first_token_at=AT,
        ended_at=AT,
        usage=Usage(1, 2, 3, partial=True, estimated=True),
        error=Failure("idle", "Nothing came."),
    )

    assert msgspec.json.decode(msgspec.json.encode(whole), type=Reply) == whole


def test_a_conversation_has_the_fields_that_clients_know():
    conversation = Conversation(id="c", title="T", head=None, running=("r",), created_at=AT, updated_at=AT)

    assert json.loads(msgspec.json.encode(conversation)) == {
        "id": "c",
        "title": "T",
        "head": None,
        "running": ["r"],
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
    }


def test_an_outline_has_no_content():
    assert Outline.__struct_fields__ == ("id", "parent", "role", "status")
