"""Input items of the Responses API read as turns, and messages told as such items."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.branches import digests, merged
from app.codecs.openai_input import input_items, is_reference, read_input
from app.errors import Invalid
from app.ids import new_id
from app.messages import Message, Reply
from app.turns import tell
from responders.base import Image, Reasoning, Text, ToolCall, ToolResult, Turn

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL = {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "here"}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def refused(item: Any) -> str:
    with pytest.raises(Invalid) as refusal:
        read_input([user("Hi"), item])
    assert str(refusal.value).endswith(".")
    return refusal.value.path


def test_a_text_is_a_message_of_the_user():
    assert read_input("Hello").turns == (Turn("user", (Text("Hello"),), "Hello"),)


@pytest.mark.parametrize(
    ("given", "role"), [("user", "user"), ("system", "system"), ("developer", "system"), ("assistant", "assistant")]
)
@pytest.mark.parametrize("type", [{}, {"type": "message"}, {"type": None}])
def test_a_message_may_leave_its_type_out(given: str, role: str, type: dict[str, Any]):
    assert read_input([{**type, "role": given, "content": "Hello"}]).turns == (Turn(role, (Text("Hello"),), "Hello"),)


def test_a_message_of_many_parts_keeps_them():
    parts = [
        {"type": "input_text", "text": "What is"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_text", "text": " this?"},
    ]

    (turn,) = read_input([user(parts)]).turns

    assert turn.parts == (Text("What is"), Image("data:image/png;base64,AA=="), Text(" this?"))
    assert turn.text == "What is this?"


def test_what_a_model_thought_said_and_called_is_one_turn_as_it_was_one_reply():
    items = [
        user("Where?"),
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "One moment.", "annotations": []}]},
        CALL,
        OUTPUT,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]

    assert read_input(items).turns == (
        Turn("user", (Text("Where?"),), "Where?"),
        Turn("assistant", (Reasoning("Hm."), Text("One moment."), ToolCall("c", "find", "{}")), "One moment."),
        Turn("tool", (ToolResult("c", "here"),), ""),
        Turn("assistant", (Text("No."),), "No."),
    )


def test_what_a_tool_gave_may_be_a_list_of_texts():
    output = [{"type": "input_text", "text": "he"}, {"type": "input_text", "text": "re"}]

    assert read_input([CALL, {**OUTPUT, "output": output}]).turns[-1].parts == (ToolResult("c", "here"),)


def test_a_result_of_a_call_that_is_not_in_the_input_is_noted_with_its_path():
    other = {**OUTPUT, "call_id": "d"}

    assert read_input([user("Hi"), CALL, OUTPUT, other]).answers == {"d": "input[3].call_id"}
    assert read_input([OUTPUT, CALL]).answers == {"c": "input[0].call_id"}


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ("Hi", "input[1]"),
        (7, "input[1]"),
        ({}, "input[1].type"),
        ({"type": "message", "content": "Hi"}, "input[1].role"),
        ({"role": "robot", "content": "Hi"}, "input[1].role"),
        ({"role": ["user"], "content": "Hi"}, "input[1].role"),
        ({"role": "user"}, "input[1].content"),
        (user(7), "input[1].content"),
        (user([7]), "input[1].content[0]"),
        (user([{"text": "Hi"}]), "input[1].content[0].type"),
        (user([{"type": "input_text", "text": 7}]), "input[1].content[0].text"),
        (user([{"type": "input_file", "file_id": "f"}]), "input[1].content[0].type"),
        (user([{"type": "input_image", "file_id": "f"}]), "input[1].content[0].file_id"),
        (user([{"type": "input_image"}]), "input[1].content[0].image_url"),
        ({"role": "system", "content": [{"type": "input_image", "image_url": "x"}]}, "input[1].content[0].type"),
        ({"type": "function_call", "call_id": "c", "name": "find"}, "input[1].arguments"),
        ({"type": "function_call_output", "call_id": "c"}, "input[1].output"),
        ({**OUTPUT, "output": [{"type": "input_image", "image_url": "x"}]}, "input[1].output[0].type"),
        ({"type": "reasoning", "summary": "Hm."}, "input[1].summary"),
        ({"type": "reasoning", "summary": [{"type": "summary_text"}]}, "input[1].summary[0].text"),
        ({"type": "web_search_call", "id": "ws_1"}, "input[1].type"),
        ({"type": ["message"]}, "input[1].type"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_path(item: Any, path: str):
    assert refused(item) == path


def test_a_history_that_was_read_from_items_is_told_in_items_that_read_the_same():
    items = [user([{"type": "input_text", "text": "Where?"}, {"type": "input_image", "image_url": "x"}]), CALL, OUTPUT]
    items += [{"role": "assistant", "content": "Here."}, {"role": "developer", "content": "Be brief."}, user("And?")]
    turns = read_input(items).turns

    messages, _ = tell(turns, None, NOW)
    told = [json.loads(msgspec.json.encode(item)) for message in messages for item in input_items(new_id(), message)]

    assert read_input(told) == (turns, {})
    assert digests(merged(turns)) == digests(merged([Turn(m.role, m.parts, m.text) for m in messages]))
    assert [item["type"] for item in told] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
        "message",
    ]
    assert len({item["id"] for item in told}) == len(told)


@pytest.mark.parametrize(
    ("item", "is_one"),
    [
        ({"type": "item_reference", "id": "msg_1"}, True),
        ({"type": None, "id": "msg_1"}, True),
        ({"id": "msg_1"}, True),
        ({"id": "msg_1", "role": "user", "content": "Hi"}, False),
        ({**CALL, "id": "fc_1"}, False),
        ("msg_1", False),
    ],
)
def test_a_reference_is_told_from_an_item(item: Any, is_one: bool):
    assert is_reference(item) == is_one


def test_a_reply_is_told_as_its_output():
    (message,) = tell((Turn("assistant", (Text("Hi"),), "Hi"),), None, NOW)[0]
    assert isinstance(message, Reply)

    (item,) = input_items(new_id(), message)

    assert json.loads(msgspec.json.encode(item))["content"] == [
        {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    ]


def test_an_empty_message_has_no_content():
    message = Message(id="m", role="user", parent=None, parts=(), text="", status="completed", created_at=NOW)

    assert [item.content for item in input_items(new_id(), message)] == [[]]
