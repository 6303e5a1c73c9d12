"""The AI SDK's chunks: every ending, every order of parts, and no chunk for a part that was not begun."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs.ui_messages import DONE, UIMessages
from app.events import Event, Record, ReplyDelta, ReplyEnded, ReplyStarted, ReplyToolCall, ReplyToolResult
from app.messages import Failure
from responders.base import Usage
from tests.support.properties import PROPERTY

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CALL = ReplyToolCall("r", 1, "call-1", "clock", '{"zone": "UTC"}')


def ended(status: str = "completed", finish_reason: str | None = "stop", **more: Any) -> ReplyEnded:
    return ReplyEnded("r", status, "text", "sha", finish_reason, Usage(1, 2, 3), NOW, **more)


def chunks(*events: Event) -> list[dict[str, Any]]:
    """The chunks of a reply's events, which end with `[DONE]` once the reply has."""
    codec = UIMessages("r")
    frames = codec.step([Record.of(seq, 0, event) for seq, event in enumerate(events, 1)])
    assert codec.ended == frames.endswith(DONE)
    lines = frames.removesuffix(DONE).split(b"\n\n")
    assert lines.pop() == b""
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_message_begins_with_the_id_of_its_reply():
    opening = UIMessages("r").opening({"conversation_id": "c"})

    assert opening == (
        b'data: {"type":"start","messageId":"r","messageMetadata":{"conversation_id":"c"}}\n\n'
        b'data: {"type":"start-step"}\n\n'
    )


def test_text_and_reasoning_are_parts_that_begin_and_end():
    told = chunks(
        ReplyStarted("r", NOW),
        ReplyDelta("r", 0, "Hm", "reasoning"),
        ReplyDelta("r", 1, 'He "said"\n'),
        ReplyDelta("other", 0, "not this"),
        ReplyDelta("r", 1, "hello"),
        ended(),
    )

    assert told == [
        {"type": "reasoning-start", "id": "0"},
        {"type": "reasoning-delta", "id": "0", "delta": "Hm"},
        {"type": "reasoning-end", "id": "0"},
        {"type": "text-start", "id": "1"},
        {"type": "text-delta", "id": "1", "delta": 'He "said"\n'},
        {"type": "text-delta", "id": "1", "delta": "hello"},
        {"type": "text-end", "id": "1"},
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "stop",
            "messageMetadata": {
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                "text_sha256": "sha",
            },
        },
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [("length", "length"), ("tool_calls", "tool-calls"), ("content_filter", "content-filter"), (None, "other")],
)
def test_why_it_finished_is_said_in_their_words(reason, said):
    assert chunks(ended(finish_reason=reason))[-1]["finishReason"] == said


@pytest.mark.parametrize(
    ("status", "more", "last"),
    [
        ("cancelled", {}, {"type": "abort", "reason": "The reply was stopped."}),
        ("failed", {"error": Failure("x", "No such model.")}, {"type": "error", "errorText": "No such model."}),
        ("interrupted", {}, {"type": "error", "errorText": "The server ended while the reply was written."}),
    ],
)
def test_an_ending_that_is_none_says_so_after_what_there_is(status, more, last):
    told = chunks(ReplyDelta("r", 0, "Hel"), ended(status, None, **more))

    assert [chunk["type"] for chunk in told[:-1]] == ["text-start", "text-delta", "text-end", "finish-step"]
    assert told[-1] == last


def test_a_call_without_a_result_is_for_whoever_asked():
    told = chunks(CALL, ended(finish_reason="tool_calls"))

    assert told[0] == {
        "type": "tool-input-available",
        "toolCallId": "call-1",
        "toolName": "clock",
        "input": {"zone": "UTC"},
    }


def test_a_call_with_its_result_is_the_responders_own():
    told = chunks(CALL, ReplyToolResult("r", 2, "call-1", '{"time": "12:00"}'), ReplyDelta("r", 3, "Noon."), ended())

    assert told[0]["providerExecuted"]
    assert told[1] == {
        "type": "tool-output-available",
        "toolCallId": "call-1",
        "output": {"time": "12:00"},
        "providerExecuted": True,
    }


def test_each_call_is_told_by_its_own_result_and_at_the_end_those_without_one():
    theirs = ReplyToolCall("r", 2, "call-2", "bell", "{}")
    told = chunks(CALL, theirs, ReplyDelta("r", 3, "Hm."), ReplyToolResult("r", 4, "call-1", "12:00"), ended())

    inputs = [chunk for chunk in told if chunk["type"] == "tool-input-available"]
    assert [(chunk["toolCallId"], chunk.get("providerExecuted")) for chunk in inputs] == [
        ("call-1", True),
        ("call-2", None),
    ]
    assert told.index(inputs[1]) == len(told) - 3


def test_a_reply_that_was_stopped_asks_for_nothing_any_more():
    assert [chunk["type"] for chunk in chunks(CALL, ended("cancelled", None))] == ["finish-step", "abort"]


def test_arguments_that_are_no_json_are_told_as_an_error_of_that_call():
    (wrong, *_) = chunks(ReplyToolCall("r", 0, "c", "f", "{oops"), ended())

    assert (wrong["type"], wrong["input"], wrong["toolCallId"]) == ("tool-input-error", "{oops", "c")


PIECES = st.one_of(
    st.builds(lambda part, text: ReplyDelta("r", part, text), st.integers(0, 3), st.text(max_size=3)),
    st.builds(lambda part: ReplyDelta("r", part, "hm", "reasoning"), st.integers(0, 3)),
    st.builds(lambda call: ReplyToolCall("r", 0, call, "f", "{}"), st.sampled_from("ab")),
    st.builds(lambda call: ReplyToolResult("r", 0, call, "1"), st.sampled_from("abc")),
)


@PROPERTY
@given(st.lists(PIECES, max_size=20), st.sampled_from(["completed", "cancelled", "failed", "interrupted"]))
def test_whatever_comes_every_part_is_begun_before_it_grows_and_ended_once(pieces, status):
    open_parts, called = set(), set()
    for chunk in chunks(*pieces, ended(status, None)):
        match chunk["type"].rpartition("-")[2]:
            case "start":
                assert not open_parts
                open_parts.add(chunk["id"])
            case "delta":
                assert open_parts == {chunk["id"]}
            case "end":
                open_parts.remove(chunk["id"])
        if chunk["type"].startswith("tool-input"):
            assert not open_parts
            called.add(chunk["toolCallId"])
        if chunk["type"] == "tool-output-available":
            assert chunk["toolCallId"] in called
    assert not open_parts
